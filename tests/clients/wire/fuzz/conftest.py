"""Tenants on a tap, and what of all that arrives there is theirs to send."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import openai
import pytest

from tenantry import ClientRegistry
from tenantry.errors import TenantryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.clients.wire.conftest import Client, Message, Tap

KEY = "sk-acme-1"
OWN = {b"authorization": {b"Bearer sk-acme-1", b"sk-acme-1"}, b"api-key": {b"sk-acme-1"}}
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
# The last is what httpx says of every header beyond ASCII.
REFUSED = (TenantryError, openai.OpenAIError, UnicodeEncodeError)


# -- where tenants are ----------------------------------------------------------------------------


class Ground:
    """Tenants on a tap, with one key and one path, and another tap where nothing may arrive."""

    def __init__(self, tap: Tap, foreign: Tap) -> None:
        self.tap, self.foreign = tap, foreign
        key = {"api_key": {"literal": KEY}, "max_retries": 0, "timeout": 10}
        own = {**key, "base_url": f"{tap.url}/t-acme/v1"}
        azure = {"provider": "azure", "azure_endpoint": f"{tap.url}/t-acme", "api_version": "1"}
        tenants = {
            "sync": {**own, "default_query": {"signature": {"literal": "signed"}}},
            "azure": {**key, **azure},
            "httpx": {**own, "http": "httpx"},
            "aiohttp": {**own, "http": "aiohttp"},
        }
        self.registry = ClientRegistry.open({"tenants": tenants}, environ={})
        plain: dict[str, Any] = {"api_key": "sk-plain", "max_retries": 0}
        self._plain = openai.OpenAI(**plain, base_url=foreign.url)
        self._plain_azure = openai.AzureOpenAI(**plain, azure_endpoint=foreign.url, api_version="1")

    def close(self) -> None:
        self.registry.close()
        self._plain.close()
        self._plain_azure.close()

    def client(self, kind: str, **options: Any) -> Client:
        if kind in ("httpx", "aiohttp"):
            return self.registry.async_client(kind, **options)
        return self.registry.client(kind, **options)

    def ask(self, kind: str, call: Callable[[Any], Any]) -> Exception | None:
        """Have a client send what it will, and one request more behind it; return what was raised.

        What follows on the same socket shows where a server saw the first one end.
        """
        raised = self._asked(kind, call)
        self.check()
        if raised is not None and not isinstance(raised, REFUSED):
            theirs = self._by_plain(kind, call)
            assert type(raised) is type(theirs), f"{raised!r} is not what the SDK raises"
        return raised

    def placed(self, said: str) -> str:
        """Return what was said, with the addresses that it stands for."""
        return said.replace("OWN", self.tap.url).replace("FOREIGN", self.foreign.url)

    def fault(self, message: Message) -> str:
        """Return what is wrong with a message that arrived, or nothing."""
        return fault(message, self.tap)

    def check(self) -> None:
        """Look at all that arrived anywhere."""
        assert [] == self.foreign.taken()
        for message in self.tap.taken():
            assert "" == self.fault(message), message

    def _asked(self, kind: str, call: Callable[[Any], Any]) -> Exception | None:
        try:
            if kind in ("httpx", "aiohttp"):
                asyncio.run(self._atwice(kind, call))
            else:
                self._twice(kind, call)
        except Exception as error:  # noqa: BLE001  # looked at by who asked
            return error
        return None

    def _twice(self, kind: str, call: Callable[[Any], Any]) -> None:
        try:
            call(self.client(kind))
        finally:
            self.client(kind).models.list()

    async def _atwice(self, kind: str, call: Callable[[Any], Any]) -> None:
        client: Any = self.client(kind)
        try:
            await call(client)
        finally:
            await client.models.list()

    def _by_plain(self, kind: str, call: Callable[[Any], Any]) -> Exception | None:
        try:
            if kind in ("httpx", "aiohttp"):
                asyncio.run(self._plainly(kind, call))
            else:
                call(self._plain_azure if kind == "azure" else self._plain)
        except Exception as error:  # noqa: BLE001  # compared
            return error
        finally:
            self.foreign.taken()
        return None

    async def _plainly(self, kind: str, call: Callable[[Any], Any]) -> None:
        made = openai.DefaultAioHttpClient if kind == "aiohttp" else openai.DefaultAsyncHttpxClient
        plain: dict[str, Any] = {
            "api_key": "sk-plain",
            "base_url": self.foreign.url,
            "max_retries": 0,
        }
        async with openai.AsyncOpenAI(**plain, http_client=made(trust_env=False)) as client:
            await call(client)


@pytest.fixture(scope="module")
def ground(listening: Tap, foreign: Tap) -> Iterator[Ground]:
    made = Ground(listening, foreign)
    listening.taken()
    foreign.taken()
    yield made
    made.close()


# -- what may arrive ------------------------------------------------------------------------------


def fault(message: Message, tap: Tap) -> str:
    method, target, version = (*message.lines[0].split(b" "), b"", b"")[:3]
    path = target.partition(b"?")[0]
    names = [name for name, _ in message.headers]
    faults = {
        "not a request line": len(message.lines[0].split(b" ")) != 3 or version != b"HTTP/1.1",
        "not a method": not method.isalpha(),
        "not a header": not all(map(TOKEN.fullmatch, names)),
        "not a value": not all(VALUE.fullmatch(value) for _, value in message.headers),
        "an injected header": any(name.startswith(b"injected") for name in names),
        "another host": [tap.url.removeprefix("http://").encode()] != message.named(b"host"),
        "another path": not all(read.startswith(b"/t-acme/") for read in readings(path)),
        "another credential": not all(
            set(message.named(name)) <= values and len(message.named(name)) <= 1
            for name, values in OWN.items()
        ),
        "a proxy's credential": b"proxy-authorization" in names,
        "a secret in the URL": KEY.encode() in target,
        "two lengths": names.count(b"content-length") + names.count(b"transfer-encoding") > 1,
    }
    return ", ".join(what for what, is_so in faults.items() if is_so)


def readings(path: bytes) -> Iterator[bytes]:
    """Return where a path may lead: decoded never, once, twice, and with what for a separator.

    Servers, and the proxies before them, do not agree: some decode `%2e` and not `%2f`, some take
    `\\` for a slash, some merge slashes, some drop what follows `;`.
    """
    for _ in range(6):
        for dotted in (path, re.sub(rb"(?i)%2e", b".", path)):
            for text in (dotted, dotted.replace(b"\\", b"/"), re.sub(rb"(?i)%5c", b"/", dotted)):
                for bare in (text, re.sub(rb";[^/]*", b"", text)):
                    yield walked(bare)
                    yield walked(re.sub(rb"/+", b"/", bare))
        path = unquote_to_bytes(path)


def walked(path: bytes) -> bytes:
    """Return the path that a browser would ask for."""
    found: list[bytes] = []
    for segment in path.removeprefix(b"/").split(b"/"):
        if segment == b"..":
            del found[-1:]
        elif segment != b".":
            found.append(segment)
    return b"/" + b"/".join(found) + b"/"
