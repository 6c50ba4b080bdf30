"""Where tenants become clients: the contract that other people's code rests on."""

from __future__ import annotations

import asyncio
import copy
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI

from tenantry import (
    ClientRegistry,
    NoCurrentTenantError,
    OptionNotAllowedError,
    RegistryClosedError,
    TenantDisabledError,
    TenantQuarantinedError,
    UnknownEndpointError,
    UnknownTenantError,
    use_tenant,
)
from tenantry.events import ClientBuilt, ClientEvicted, Event, TenantQuarantined
from tenantry.freshness import Freshness
from tenantry.testing import OpenAIServer

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = {"KEY_ACME": "sk-acme-0123456789", "KEY_GLOBEX": "sk-globex-0123456789"}
AZURE = {"provider": "azure", "api_version": "2024-10-21", "api_key": {"env": "KEY_GLOBEX"}}


@pytest.fixture(scope="module")
def running() -> Iterator[OpenAIServer]:
    with OpenAIServer(keys=KEYS.values()) as server:
        yield server


@pytest.fixture
def server(running: OpenAIServer) -> OpenAIServer:
    running.clear()
    return running


@pytest.fixture
def config(server: OpenAIServer) -> dict[str, Any]:
    return {
        "tenants": {
            "acme": {
                "base_url": server.base_url,
                "api_key": {"env": "KEY_ACME"},
                "endpoints": {"eu": {"base_url": f"{server.url}/eu/v1"}},
            },
            "globex": {**AZURE, "azure_endpoint": server.azure_endpoint},
            "initech": {"enabled": False, "api_key": {"env": "KEY_ACME"}},
            "umbrella": {"max_retries": -1, "api_key": {"env": "KEY_ACME"}},
        }
    }


@pytest.fixture
def registry(config: dict[str, Any]) -> Iterator[ClientRegistry]:
    with ClientRegistry.open(config, environ=KEYS) as opened:
        yield opened
    gc.collect()  # what was not closed would warn here


def heard_by(registry: ClientRegistry) -> list[Event]:
    heard: list[Event] = []
    registry.subscribe(heard.append)
    return heard


# -- clients --------------------------------------------------------------------------------------


def test_a_tenant_has_one_client(registry: ClientRegistry) -> None:
    """Asking twice gives the same object, one for sync and one for async code."""
    assert registry.client("acme") is registry.client("acme")
    assert registry.async_client("acme") is registry.async_client("acme")


def test_clients_are_the_sdks(registry: ClientRegistry) -> None:
    """What is handed out is an instance of the SDK's class for the tenant's provider."""
    assert isinstance(registry.client("acme"), OpenAI)
    assert isinstance(registry.async_client("acme"), AsyncOpenAI)
    assert isinstance(registry.client("globex"), AzureOpenAI)
    assert isinstance(registry.async_client("globex"), AsyncAzureOpenAI)


async def test_every_client_works(registry: ClientRegistry, server: OpenAIServer) -> None:
    """Each tenant's requests bear its own key."""
    registry.client("acme").models.list()
    registry.client("globex").models.list()
    await registry.async_client("acme").models.list()
    await registry.async_client("globex").models.list()
    assert [*KEYS.values()] * 2 == [request.key for request in server.requests]
    await registry.aclose()


def test_an_async_client_needs_no_loop(registry: ClientRegistry) -> None:
    """It may be asked for where no event loop runs, and used in one later."""
    client = registry.async_client("acme", timeout=5)

    async def use() -> int:
        return len((await client.models.list()).data)

    assert 2 == asyncio.run(use())


def test_options_make_a_clone(registry: ClientRegistry) -> None:
    """With options the client is a clone, which the registry does not keep."""
    client = registry.client("acme")
    assert client is not registry.client("acme", timeout=5)
    assert client is registry.client("acme")
    elsewhere: Any = {"base_url": "https://elsewhere.example"}
    with pytest.raises(OptionNotAllowedError):
        registry.async_client("acme", **elsewhere)


def test_the_current_tenant_is_the_default(registry: ClientRegistry) -> None:
    """Inside `use_tenant` the name may be left out, for clones as well."""
    with use_tenant("acme"):
        assert registry.client("acme") is registry.client()
        with use_tenant("globex"):
            assert registry.async_client("globex") is registry.async_client()
        assert registry.client("acme") is registry.client()
        assert 5 == registry.client(timeout=5).timeout


def test_there_is_no_default_tenant(registry: ClientRegistry) -> None:
    """Outside `use_tenant` a client without a name is an error that says what to do."""
    for ask in (registry.client, registry.async_client):
        with pytest.raises(NoCurrentTenantError, match="use_tenant"):
            ask()


def test_an_unknown_tenant_is_an_error(registry: ClientRegistry) -> None:
    """A name that nobody has is an error, with a near one as a suggestion."""
    with pytest.raises(UnknownTenantError, match="did you mean 'acme'"):
        registry.client("acne")


def test_endpoints_are_clients_of_their_own(registry: ClientRegistry, server: OpenAIServer) -> None:
    """An endpoint has its own client and address, and the tenant's key."""
    client = registry.client("acme", endpoint="eu")
    assert client is registry.client("acme", endpoint="eu")
    assert client is not registry.client("acme")
    client.models.list()
    registry.client("acme", endpoint="eu", timeout=5).models.list()
    assert [("/eu/v1/models", KEYS["KEY_ACME"])] * 2 == [
        (request.path, request.key) for request in server.requests
    ]


def test_an_unknown_endpoint_is_an_error(registry: ClientRegistry) -> None:
    """An endpoint that the tenant does not have is an error that says which it has."""
    with pytest.raises(UnknownEndpointError, match="it has eu"):
        registry.client("acme", endpoint="us")
    with pytest.raises(UnknownEndpointError, match="it has none"):
        registry.async_client("globex", endpoint="us")


def test_a_disabled_tenant_has_no_client(registry: ClientRegistry) -> None:
    """`enabled: false` is an error at the call, and not at opening."""
    with pytest.raises(TenantDisabledError, match="enabled: false"):
        registry.client("initech")


def test_a_broken_tenant_is_quarantined(registry: ClientRegistry) -> None:
    """A tenant whose settings are wrong is an error at the call, with its problems."""
    with pytest.raises(TenantQuarantinedError, match="max_retries") as caught:
        registry.client("umbrella")
    assert 1 == len(caught.value.problems)


@pytest.mark.parametrize("kind", ["client", "async_client"])
def test_threads_that_ask_first_build_once(registry: ClientRegistry, kind: str) -> None:
    """Sixteen threads that ask first at once share one client."""
    together = threading.Barrier(16)

    def ask() -> object:
        together.wait()
        return getattr(registry, kind)("acme")

    with ThreadPoolExecutor(16) as threads:
        made = [done.result() for done in [threads.submit(ask) for _ in range(16)]]
    assert 1 == len({id(client) for client in made})


def test_one_held_client_over_many_loops(config: dict[str, Any], server: OpenAIServer) -> None:
    """Twenty event loops in a row use one held async client, and none of its requests fails."""
    with ClientRegistry.open(config, environ=KEYS) as registry:
        client = registry.async_client("acme")

        async def use() -> None:
            await asyncio.gather(*(client.models.list() for _ in range(3)))

        for _ in range(20):
            asyncio.run(use())
    gc.collect()
    assert 60 == server.count(status=200)


# -- eviction -------------------------------------------------------------------------------------


def test_an_evicted_client_keeps_working(registry: ClientRegistry, server: OpenAIServer) -> None:
    """Who holds an evicted client goes on using it; the registry hands out a new one."""
    held, endpoint = registry.client("acme"), registry.client("acme", endpoint="eu")
    registry.evict("acme")
    held.models.list()
    endpoint.with_options(timeout=5).models.list()
    assert held is not registry.client("acme")
    assert 2 == server.count(status=200)


def test_evicting_nobody_is_harmless(registry: ClientRegistry) -> None:
    """A tenant that has no clients has none to evict."""
    registry.evict("acme")
    registry.evict("nobody")
    assert () == registry.status("acme").clients


def test_an_evicted_client_ends_with_the_registry(config: dict[str, Any]) -> None:
    """Closing the registry shuts the gates of evicted clients too."""
    with ClientRegistry.open(config, environ=KEYS) as registry:
        held = [registry.client("acme")]
        held[0].models.list()
        for _ in range(3):
            registry.evict("acme")
            held.append(registry.client("acme"))
    for client in held:
        with pytest.raises(RegistryClosedError):
            client.models.list()


# -- knowing --------------------------------------------------------------------------------------


def test_tenants_are_names(registry: ClientRegistry) -> None:
    """`tenants` has `in`, `len` and iteration, those in quarantine included."""
    assert ["acme", "globex", "initech", "umbrella"] == sorted(registry.tenants)
    assert "acme" in registry.tenants
    assert "nobody" not in registry.tenants
    assert 4 == len(registry.tenants)


def test_status_asks_nobody(registry: ClientRegistry, server: OpenAIServer) -> None:
    """Before a client is asked for, status tells of what was fetched at open, and no client."""
    status = registry.status("acme")
    assert [("api_key", Freshness.FRESH)] == [
        (each.setting, each.freshness) for each in status.credentials
    ]
    assert ("acme", "openai", True, server.base_url, (), ()) == (
        status.name,
        status.provider,
        status.enabled,
        status.base_url,
        status.clients,
        status.problems,
    )


def test_status_tells_of_clients_and_credentials(registry: ClientRegistry) -> None:
    """After use, status shows what was built and how fresh its credentials are, and no secret."""
    registry.client("globex").models.list()
    registry.async_client("globex")
    status = registry.status("globex")
    assert ("SealedAzureOpenAI", "SealedAsyncAzureOpenAI") == status.clients
    assert [("api_key", "env KEY_GLOBEX", Freshness.FRESH)] == [
        (each.setting, each.reference, each.freshness) for each in status.credentials
    ]
    assert KEYS["KEY_GLOBEX"] not in repr(status)


def test_status_of_who_is_not_served(registry: ClientRegistry) -> None:
    """Status tells of disabled tenants and of those in quarantine, and knows no strangers."""
    assert not registry.status("initech").enabled
    assert ["tenants.umbrella.max_retries"] == [
        problem.path for problem in registry.status("umbrella").problems
    ]
    with pytest.raises(UnknownTenantError):
        registry.status("nobody")


def test_explain_tells_every_setting(registry: ClientRegistry, server: OpenAIServer) -> None:
    """Each setting has its value and its origin, for an endpoint as well."""
    told = {setting.name: setting for setting in registry.explain("acme")}
    at_eu = {setting.name: setting for setting in registry.explain("acme", endpoint="eu")}
    assert (server.base_url, f"{server.url}/eu/v1") == (
        told["base_url"].value,
        at_eu["base_url"].value,
    )
    assert ("2", "default") == (told["max_retries"].value, told["max_retries"].origin)


def test_explain_knows_no_strangers(registry: ClientRegistry) -> None:
    """An unknown tenant or endpoint is the error that `client()` raises."""
    with pytest.raises(UnknownTenantError):
        registry.explain("nobody")
    with pytest.raises(UnknownEndpointError):
        registry.explain("acme", endpoint="us")


def test_hooks_hear_of_clients(config: dict[str, Any]) -> None:
    """Building and evicting are events, in order, with the endpoint that they concern."""
    with ClientRegistry.open(config, environ=KEYS) as registry:
        heard = heard_by(registry)
        registry.client("acme")
        registry.async_client("acme", endpoint="eu")
        registry.evict("acme")
    told = [event for event in heard if not isinstance(event, TenantQuarantined)]
    assert [
        ClientBuilt("acme", "", "SealedOpenAI"),
        ClientBuilt("acme", "eu", "SealedAsyncOpenAI"),
        ClientEvicted("acme", "", "SealedOpenAI", "asked"),
        ClientEvicted("acme", "eu", "SealedAsyncOpenAI", "asked"),
    ] == told


def test_hooks_hear_of_quarantine(config: dict[str, Any]) -> None:
    """Who subscribes hears which tenants are in quarantine."""
    with ClientRegistry.open(config, environ=KEYS) as registry:
        heard = heard_by(registry)
        problems = registry.status("umbrella").problems
    assert [TenantQuarantined("umbrella", problems)] == heard


def test_a_hook_that_left_hears_nothing(config: dict[str, Any]) -> None:
    """What `subscribe` returns ends the subscription."""
    heard: list[Event] = []
    del config["tenants"]["umbrella"]
    with ClientRegistry.open(config, environ=KEYS) as registry:
        unsubscribe = registry.subscribe(heard.append)
        unsubscribe()
        registry.client("acme")
    assert [] == heard


def test_a_registry_shows_no_secret(config: dict[str, Any]) -> None:
    """Its repr tells how many tenants there are, or that it is closed."""
    with ClientRegistry.open(config, environ=KEYS) as registry:
        assert "<ClientRegistry 4 tenants>" == repr(registry)
    assert "<ClientRegistry closed>" == repr(registry)


def test_a_deep_copy_is_the_registry_itself(registry: ClientRegistry) -> None:
    """Containers that copy what they hold go on sharing the registry."""
    assert registry is copy.deepcopy([registry])[0]
