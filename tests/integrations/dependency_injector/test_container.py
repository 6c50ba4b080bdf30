"""`TenantryContainer` hands out clients, nests, copies and is overridden like any container."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import openai
import pytest
from dependency_injector import containers, providers

from tenantry import (
    ClientRegistry,
    NoCurrentTenantError,
    OptionNotAllowedError,
    UnknownTenantError,
    use_tenant,
)
from tenantry.integrations.dependency_injector import (
    AsyncClientFor,
    ClientFor,
    TenantryContainer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tenantry.testing import OpenAIServer


class Greeter:
    """An object that lives as long as the application, and asks for a client per piece of work."""

    def __init__(self, client_for: ClientFor) -> None:
        self.client_for = client_for


class Application(containers.DeclarativeContainer):
    """An application's own container, with ours inside."""

    config = providers.Configuration()
    openai = providers.Container(TenantryContainer, config=config.tenantry)
    greeter = providers.Singleton(Greeter, client_for=openai.client.provider)


@pytest.fixture
def application(config: dict[str, Any]) -> Iterator[Application]:
    application = Application()
    application.config.from_dict({"tenantry": config})
    yield application
    application.shutdown_resources()


# -- clients --------------------------------------------------------------------------------------


def test_it_hands_out_the_clients_of_the_registry(container: TenantryContainer) -> None:
    """The container's client is the registry's own, for every provider and both kinds."""
    registry = container.registry()
    assert container.client(tenant="acme") is registry.client("acme")
    assert container.async_client("acme") is registry.async_client("acme")
    assert isinstance(container.client(tenant="globex"), openai.AzureOpenAI)


def test_options_make_a_clone(container: TenantryContainer, openai_server: OpenAIServer) -> None:
    """With options it hands out a clone, which shares the connections of the client."""
    container.client(tenant="acme").models.list()
    clone = container.client(tenant="acme", timeout=5, max_retries=7)
    assert "list" == clone.models.list().object
    assert (5, 7, 1) == (clone.timeout, clone.max_retries, openai_server.connections)


def test_without_a_name_it_is_the_current_tenants(container: TenantryContainer) -> None:
    """The tenant may be left out where one is current, and only there."""
    with use_tenant("acme"):
        assert container.client() is container.client(tenant="acme")
    with pytest.raises(NoCurrentTenantError):
        container.client()


def test_errors_are_the_registrys_own(container: TenantryContainer) -> None:
    """Errors pass through the container as they are."""
    with pytest.raises(UnknownTenantError, match="did you mean 'acme'"):
        container.client(tenant="acmee")
    misspelt: Any = {"timeuot": 5}
    with pytest.raises(OptionNotAllowedError, match="'timeuot' is unknown"):
        container.client(tenant="acme", **misspelt)


# -- nesting and copies ---------------------------------------------------------------------------


def test_it_nests_in_an_applications_container(application: Application) -> None:
    """An application's container holds ours, and gives long-lived objects the provider."""
    client = application.greeter().client_for(tenant="acme", timeout=3)
    assert 3 == client.timeout
    assert client is not application.openai.client(tenant="acme")
    assert application.openai.container.client is application.greeter().client_for


def test_containers_stand_side_by_side(config: dict[str, Any], openai_server: OpenAIServer) -> None:
    """Two of ours in one application have a registry each, and end each for itself."""
    openai_server.allow("key-of-eu", tenant="acme-eu")
    tenants = {"acme": {"api_key": {"literal": "key-of-eu"}}}

    class Regions(containers.DeclarativeContainer):
        us = providers.Container(TenantryContainer, config=config)
        eu = providers.Container(TenantryContainer, config={**config, "tenants": tenants})

    regions = Regions()
    regions.us.client(tenant="acme").models.list()
    regions.us.container.shutdown_resources()
    regions.eu.client(tenant="acme").models.list()
    assert ["acme", "acme-eu"] == [request.tenant for request in openai_server.requests]
    regions.shutdown_resources()


def test_a_copy_is_a_container_of_its_own(application: Application) -> None:
    """A copy opens its own registry, and outlives the container that it was copied from."""
    application.openai.client(tenant="acme")
    copied = copy.deepcopy(application)
    assert not copied.openai.container.lifecycle.initialized
    assert application.openai.registry() is not copied.openai.registry()
    application.shutdown_resources()
    assert "list" == copied.openai.client(tenant="acme").models.list().object
    copied.shutdown_resources()


def test_what_the_class_opened_is_not_the_instances(config: dict[str, Any]) -> None:
    """A class whose providers were used before is instantiated like any other."""

    class Used(containers.DeclarativeContainer):
        openai = providers.Container(TenantryContainer, config=config)

    Used.openai.client(tenant="acme")
    assert not Used().openai.container.lifecycle.initialized
    Used.openai.container.shutdown_resources()


def test_what_was_opened_is_never_copied(config: dict[str, Any]) -> None:
    """dependency-injector copies what a container holds; a registry and a client stay one."""
    with ClientRegistry.open(config) as registry:
        client = registry.client("acme")
        assert registry is copy.deepcopy(registry)
        assert client is providers.deepcopy(providers.Object(client))()


def test_a_catalog_is_given_as_an_object(config: dict[str, Any]) -> None:
    """What is given to a nested container as an `Object` is not copied: a catalog stays itself."""
    with ClientRegistry.open(config) as registry:

        class Shared(containers.DeclarativeContainer):
            openai = providers.Container(
                TenantryContainer, config=providers.Object(registry.catalog)
            )

        shared = Shared()
        assert shared.openai.registry().catalog is registry.catalog
        shared.shutdown_resources()


def test_a_path_is_a_configuration(tmp_path: Path, config: dict[str, Any]) -> None:
    """The configuration may be whatever the registry opens, its environment with it."""
    file = tmp_path / "tenants.yaml"
    file.write_text("tenants: {acme: {api_key: {env: KEY}, base_url: '${BASE_URL}'}}\n")
    environ = {"KEY": "key-acme", "BASE_URL": config["defaults"]["base_url"]}
    container = TenantryContainer(config=file, environ=environ)
    assert "list" == container.client(tenant="acme").models.list().object
    container.shutdown_resources()


# -- overriding -----------------------------------------------------------------------------------


class Fake:
    """What a test may put in the registry's place: no registry, but with its two methods."""

    def client(self, tenant: str | None = None, **options: Any) -> tuple[Any, ...]:
        return ("sync", tenant, options)

    def async_client(self, tenant: str | None = None, **options: Any) -> tuple[Any, ...]:
        return ("async", tenant, options)


def test_a_client_is_overridden_for_a_test(application: Application) -> None:
    """A test puts its own object in the client's place, also for objects that live longer."""
    stand_in: Any = object()
    greeter = application.greeter()
    with application.openai.client.override(stand_in):
        assert stand_in is application.openai.client(tenant="acme", timeout=5)
        assert stand_in is greeter.client_for(tenant="acme")
    assert isinstance(greeter.client_for(tenant="acme"), openai.OpenAI)


def test_a_registry_is_overridden_for_a_test(application: Application) -> None:
    """With a stand-in for the registry, its clients are handed out and nothing is opened."""
    with application.openai.registry.override(Fake()):
        application.init_resources()
        assert ("sync", "acme", {"timeout": 5}) == application.openai.client("acme", timeout=5)
        assert ("async", "acme", {}) == application.openai.async_client(tenant="acme")
        assert not application.openai.container.lifecycle.initialized
    assert isinstance(application.openai.client(tenant="acme"), openai.OpenAI)


def test_a_tests_registry_is_the_tests_to_close(
    application: Application, config: dict[str, Any]
) -> None:
    """A registry that was put in place of the container's outlives `shutdown_resources()`."""
    with ClientRegistry.open(config) as registry:
        application.openai.registry.override(registry)
        application.init_resources()
        client = application.openai.client(tenant="acme")
        application.shutdown_resources()
        assert "list" == client.models.list().object


def test_resetting_leaves_the_registry_open(application: Application) -> None:
    """`reset_singletons()` makes the application's objects anew, on the registry that is open."""
    greeter, registry = application.greeter(), application.openai.registry()
    application.reset_singletons()
    assert greeter is not application.greeter()
    assert registry is application.openai.registry()


def test_a_registry_is_what_services_ask_too(config: dict[str, Any]) -> None:
    """A service that asks the container for clients may be given a registry's method as well."""
    with ClientRegistry.open(config) as registry:
        greeter = Greeter(registry.client)
        async_client_for: AsyncClientFor = registry.async_client
        assert greeter.client_for("acme") is registry.client("acme")
        assert async_client_for("acme") is registry.async_client("acme")
