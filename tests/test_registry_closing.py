"""How a registry ends, and what that means for clients that are still held."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai import OpenAI

from tenantry import ClientRegistry, RegistryClosedError, TenantryError
from tenantry.catalog import MemoryCatalog

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from tenantry.loading import Tenant
    from tenantry.testing import OpenAIServer

LIMIT = 10.0  # seconds after which a test that hangs fails
KEYS = {"KEY_ACME": "sk-acme-0123456789", "KEY_GLOBEX": "sk-globex-0123456789"}


@pytest.fixture
def server(openai_server: OpenAIServer) -> OpenAIServer:
    for key in KEYS.values():
        openai_server.allow(key)
    return openai_server


@pytest.fixture
def config(server: OpenAIServer) -> dict[str, Any]:
    acme = {"base_url": server.base_url, "api_key": {"env": "KEY_ACME"}}
    azure = {"provider": "azure", "azure_endpoint": server.url, "api_version": "2024-10-21"}
    return {"tenants": {"acme": acme, "globex": {**azure, "api_key": {"env": "KEY_GLOBEX"}}}}


def test_a_closed_registry_hands_out_nothing(config: dict[str, Any]) -> None:
    """After `close()`, and after a second one, every call that needs a client is an error."""
    registry = ClientRegistry.open(config, environ=KEYS)
    registry.client("acme")
    registry.close()
    registry.close()
    for ask in (registry.client, registry.async_client, registry.refresh):
        with pytest.raises(RegistryClosedError, match="open a new one"):
            ask("acme")


async def test_held_clients_end_with_the_registry(
    config: dict[str, Any], server: OpenAIServer
) -> None:
    """Requests of held clients and clones raise the error itself, one of the SDK's too."""
    registry = ClientRegistry.open(config, environ=KEYS)
    client, aclient = registry.client("acme"), registry.async_client("globex")
    clone = client.with_options(timeout=5)
    client.models.list()
    await aclient.models.list()
    await registry.aclose()
    await registry.aclose()
    for each in (client, clone):
        with pytest.raises(RegistryClosedError) as caught:
            each.models.list()
        assert isinstance(caught.value, openai.OpenAIError)
    with pytest.raises(RegistryClosedError):
        await aclient.models.list()
    assert 2 == len(server.requests)


@pytest.mark.skipif(not hasattr(OpenAI, "admin"), reason="openai>=2.34 has admin endpoints")
def test_a_client_with_an_admin_key_alone_ends_too(server: OpenAIServer) -> None:
    """A gate is shut for requests that do not ask for the tenant's key first."""
    said = {"base_url": server.base_url, "admin_api_key": {"env": "KEY_ACME"}}
    with ClientRegistry.open({"tenants": {"acme": said}}, environ=KEYS) as registry:
        client: Any = registry.client("acme")
        client.admin.organization.projects.list()
    with pytest.raises(RegistryClosedError):
        client.admin.organization.projects.list()
    assert 1 == len(server.requests)


async def test_closing_within_a_loop_waits_for_nothing(
    config: dict[str, Any], server: OpenAIServer
) -> None:
    """`close()` on a running loop closes its sockets there, soon."""
    with ClientRegistry.open(config, environ=KEYS) as registry:
        await registry.async_client("acme").models.list()
    assert 1 == server.count(status=200)


class Closing(MemoryCatalog):
    """A catalog whose registry is closed while it is asked, once."""

    registry: ClientRegistry | None = None

    def get(self, name: str) -> Tenant:
        if self.registry is not None:
            self.registry.close()
        return super().get(name)


def test_closing_while_a_client_is_built(config: dict[str, Any]) -> None:
    """A client whose building met the end of the registry is not handed out."""
    with ClientRegistry.open(config, environ=KEYS) as registry:
        catalog = Closing({"acme": registry.catalog.get("acme")})
    closing = ClientRegistry.open(catalog, environ=KEYS)
    catalog.registry = closing
    for _ in range(2):
        with pytest.raises(RegistryClosedError):
            closing.client("acme")


# -- from anywhere --------------------------------------------------------------------------------


async def ask(client: AsyncOpenAI, times: int = 3) -> None:
    await asyncio.gather(*(client.models.list() for _ in range(times)))


@pytest.mark.parametrize("http", ["httpx", "aiohttp"])
def test_closing_from_another_loop(
    config: dict[str, Any], http: str, caplog: pytest.LogCaptureFixture
) -> None:
    """`aclose` waits for the connections of its own loop, and has the others closed on theirs."""
    config["tenants"]["acme"]["http"] = http
    registry = ClientRegistry.open(config, environ=KEYS)
    client = registry.async_client("acme")
    other, ended = asyncio.new_event_loop(), asyncio.new_event_loop()
    running = threading.Thread(target=other.run_forever)
    running.start()
    asyncio.run_coroutine_threadsafe(ask(client), other).result(LIMIT)
    ended.run_until_complete(ask(client))
    ended.run_until_complete(ended.shutdown_asyncgens())
    ended.close()
    asyncio.run(closed(registry, client))
    asyncio.run(registry.aclose())
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01), other).result(LIMIT)
    other.call_soon_threadsafe(other.stop)
    running.join(LIMIT)
    other.close()
    gc.collect()
    assert ([], 0) == (caplog.messages, len(registry._sockets))


async def closed(registry: ClientRegistry, client: AsyncOpenAI) -> None:
    """Close on the running loop, beside somebody else who does, after some requests."""
    await ask(client)
    await asyncio.gather(registry.aclose(), asyncio.to_thread(registry.close), registry.aclose())


class Ending:
    """The end of a registry, which begins, goes on when it is let, and is over."""

    def __init__(self, registry: ClientRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.goes_on, self.over = (threading.Event() for _ in range(3))
        self._end = registry._secrets.close
        monkeypatch.setattr(registry._secrets, "close", self)

    def __call__(self) -> None:
        self.begun.set()
        assert self.goes_on.wait(LIMIT)
        self._end()
        self.over.set()

    async def begin(self, registry: ClientRegistry) -> asyncio.Task[None]:
        """Begin to close the registry, and return once the end waits."""
        closing = asyncio.create_task(registry.aclose())
        assert await asyncio.to_thread(self.begun.wait, LIMIT)
        return closing


async def test_a_loop_goes_on_while_its_registry_ends(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the end waits for, such as a database that is slow, holds up no other task."""
    registry = ClientRegistry.open(config, environ=KEYS)
    ending = Ending(registry, monkeypatch)
    closing = await ending.begin(registry)
    ending.goes_on.set()
    await closing
    assert ending.over.is_set()


async def test_who_gives_up_waiting_for_the_end_does_not_stop_it(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on beside whatever comes next."""
    registry = ClientRegistry.open(config, environ=KEYS)
    ending = Ending(registry, monkeypatch)
    closing = await ending.begin(registry)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    ending.goes_on.set()
    assert await asyncio.to_thread(ending.over.wait, LIMIT)


@pytest.mark.parametrize("lacking", ["an executor", "a thread"])
async def test_the_end_needs_nothing_of_the_loop(
    lacking: str, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Late in the life of a process there is no executor any more, and no new thread."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    registry = ClientRegistry.open(config, environ=KEYS)
    ending = Ending(registry, monkeypatch)
    ending.goes_on.set()
    if lacking == "a thread":
        monkeypatch.setattr(threading.Thread, "start", start)
    await asyncio.get_running_loop().shutdown_default_executor()
    await registry.aclose()
    assert ending.over.is_set()


def test_many_threads_close_at_once(config: dict[str, Any]) -> None:
    """All of them return, and nothing is left."""
    registry = ClientRegistry.open(config, environ=KEYS)
    registry.client("acme").models.list()
    together = threading.Barrier(8)

    def close() -> None:
        together.wait(LIMIT)
        registry.close()

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(close) for _ in range(8)]:
            done.result(LIMIT)
    assert 0 == len(registry._sockets)


async def test_draining_before_closing_lets_requests_end(
    config: dict[str, Any], server: OpenAIServer
) -> None:
    """All that were under way are answered, and none passes later."""
    registry = ClientRegistry.open(config, environ=KEYS)
    client = registry.async_client("acme")
    server.slow(0.05)
    under_way = [asyncio.create_task(ask(client, 1)) for _ in range(5)]
    while server.in_flight < 5:  # noqa: ASYNC110  # a server has no event for it
        await asyncio.sleep(0.002)
    assert {"acme": 5} == await registry.adrain(timeout=0)
    assert {} == await registry.adrain(timeout=LIMIT)
    await registry.aclose()
    assert [None] * 5 == await asyncio.gather(*under_way)
    with pytest.raises(RegistryClosedError):
        await ask(client, 1)
    assert 5 == len(server.requests)


# -- who forgets to close -------------------------------------------------------------------------


def forgotten(config: dict[str, Any]) -> list[str]:
    """Open a registry, use it, forget it, and return what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ClientRegistry.open(config, environ=KEYS).client("acme").models.list()
        gc.collect()
    return [f"{each.category.__name__}: {each.message}" for each in caught]


def test_who_forgets_to_close_is_warned(config: dict[str, Any]) -> None:
    """Once, by a ResourceWarning that says what to do; of no socket."""
    expected = (
        "ResourceWarning: <ClientRegistry 2 tenants> was not closed:"
        " use `with`, or call close() or aclose()"
    )
    assert [expected] == forgotten(config)


def test_who_closed_is_not_warned(config: dict[str, Any]) -> None:
    """Whichever way."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ClientRegistry.open(config, environ=KEYS).close()
        with ClientRegistry.open(config, environ=KEYS):
            pass
        asyncio.run(ClientRegistry.open(config, environ=KEYS).aclose())
        gc.collect()
    assert [] == caught


def test_a_registry_that_never_opened_needs_no_closing(config: dict[str, Any]) -> None:
    """Neither where the configuration is wrong, nor where warming fails it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(TenantryError):
            ClientRegistry.open({"tenants": {"acme": {"nonsense": 1}}}, environ={})
        config["registry"] = {"on_problem": "fail"}
        with pytest.raises(TenantryError):
            ClientRegistry.open(config, environ={})
        gc.collect()
    assert [] == caught
