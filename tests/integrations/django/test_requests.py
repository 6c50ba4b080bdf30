"""A request's tenant, and its clients."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import openai
import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.test import RequestFactory, override_settings

from tenantry import (
    NoCurrentTenantError,
    OptionNotAllowedError,
    UnknownEndpointError,
    UnknownTenantError,
    use_tenant,
)
from tenantry.integrations.django import (
    aget_client,
    aget_tenant,
    clients,
    from_user,
    get_client,
    get_tenant,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def acme(tenant: str | None = "acme") -> Any:
    user = SimpleNamespace(is_authenticated=True, tenant=tenant)
    return SimpleNamespace(is_authenticated=False) if tenant is None else user


def request(user: Any) -> Any:
    made = RequestFactory().get("/")
    made.user = user
    return made


@pytest.fixture(autouse=True)
def by_user(configured: dict[str, Any]) -> Iterator[None]:
    with override_settings(TENANTRY=configured | {"tenant": from_user("tenant")}):
        yield


def waits_in_django(request: Any) -> str:
    from django.contrib.auth.models import User

    return str(User.objects.get().last_name)


async def waits(request: Any) -> str:
    return "acme"


def test_the_client_of_a_request() -> None:
    """A request has the client of its user's tenant, or a clone of it with options."""
    made = request(acme())
    assert clients["acme"] is get_client(made)
    assert 3 == get_client(made, timeout=3).timeout
    with pytest.raises(OptionNotAllowedError, match="base_url"):
        get_client(made, base_url="https://evil.example")  # type: ignore[call-arg]
    with pytest.raises(UnknownEndpointError):
        get_client(made, endpoint="us")


async def test_the_async_client_of_a_request() -> None:
    """On an event loop the client is awaited, so that nobody is held up."""
    made = request(acme())
    client = await aget_client(made, timeout=3)
    assert isinstance(client, openai.AsyncOpenAI)
    assert ("acme", 3) == (await aget_tenant(made), client.timeout)


def test_no_tenant() -> None:
    """A request whose user has no tenant has no client, until somebody logs in."""
    made = request(acme(None))
    with pytest.raises(NoCurrentTenantError):
        get_client(made)
    made.user = acme()
    assert "acme" == get_tenant(made)


def test_another_user() -> None:
    """Who is authenticated in the view counts, whoever was found before."""
    made = request(acme())
    assert "acme" == get_tenant(made)
    made.user = acme("globex")
    assert "globex" == get_tenant(made)


def test_it_is_resolved_once() -> None:
    """However often a view asks, the resolver is asked once."""
    asked: list[Any] = []

    def resolve(request: Any) -> str:
        asked.append(request)
        return "acme"

    made = request(acme())
    with override_settings(TENANTRY={"config": {"tenants": TENANTS}, "tenant": resolve}):
        for _ in range(3):
            get_client(made)
    assert [made] == asked


def test_an_unknown_tenant() -> None:
    """A user of a tenant that nobody knows gets the registry's error."""
    with pytest.raises(UnknownTenantError):
        get_client(request(acme("nobody")))


async def test_an_unknown_tenant_awaited() -> None:
    """The same on an event loop."""
    with pytest.raises(UnknownTenantError):
        await aget_client(request(acme("nobody")))


def test_without_a_resolver(configured: dict[str, Any]) -> None:
    """Where nothing says whose a request is, it is the current tenant's."""
    with override_settings(TENANTRY=configured):
        made = request(None)
        with pytest.raises(NoCurrentTenantError):
            get_tenant(made)
        for tenant in ("globex", "acme"):
            with use_tenant(tenant):
                assert tenant == get_tenant(made)


async def test_without_a_resolver_awaited(configured: dict[str, Any]) -> None:
    """The same on an event loop."""
    with override_settings(TENANTRY=configured):
        with pytest.raises(NoCurrentTenantError):
            await aget_tenant(request(None))
        with use_tenant("globex"):
            assert "globex" == await aget_tenant(request(None))


@pytest.mark.parametrize("resolver", [waits, waits_in_django])
async def test_waiting_on_a_loop(resolver: Any, user: Any, configured: dict[str, Any]) -> None:
    """What has to wait cannot be resolved on a loop without await, and the error says what can."""
    await sync_to_async(user)("acme")
    with override_settings(TENANTRY=configured | {"tenant": resolver}):
        with pytest.raises(SynchronousOnlyOperation, match=r"await aget_client\(request\)"):
            get_tenant(request(None))
        assert "acme" == await aget_tenant(request(None))


def test_an_async_resolver_in_a_thread(configured: dict[str, Any]) -> None:
    """An async resolver serves sync code, too."""
    with override_settings(TENANTRY=configured | {"tenant": waits}):
        assert "acme" == get_tenant(request(None))


async def test_a_sync_client_on_a_loop() -> None:
    """Asking for a sync client on an event loop warns: its requests would hold up everybody."""
    made = request(acme())
    with pytest.warns(RuntimeWarning, match=r"request\.async_openai"):
        client = get_client(made)
    assert client is await sync_to_async(get_client)(made)


TENANTS = {"acme": {"api_key": {"literal": "sk"}}}
