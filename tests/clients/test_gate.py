"""What happens to a request on its way out, and when it is answered 401."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import SecretStr

from tenantry import (
    ClientRegistry,
    CredentialUnavailableError,
    TenantBoundaryError,
    current_tenant,
    use_tenant,
)
from tenantry.events import Event, RequestReplayed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.clients.conftest import Acme, Client

    from tenantry.testing import OpenAIServer


class Rotating:
    """A source whose secret changes when the test says so; counts how often it is asked."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        return self.secret


@pytest.fixture
def keys(acme: Acme) -> Rotating:
    return Rotating(acme.key)


def rotate(acme: Acme, keys: Rotating) -> None:
    """Revoke the key that clients hold; the source has the newer one."""
    acme.server.revoke(acme.key)
    acme.server.allow(acme.newer_key)
    keys.secret = acme.newer_key
    acme.server.clear()


def statuses(acme: Acme) -> list[int]:
    return [request.status for request in acme.server.requests]


# -- a key that was revoked -----------------------------------------------------------------------


async def test_a_request_is_sent_again_with_the_newer_key(acme: Acme, keys: Rotating) -> None:
    """A request that meets a revoked key is sent once more, with the newer one, and succeeds."""
    client = acme.client(api_key=keys)
    await acme.chat(client)
    rotate(acme, keys)
    request = await acme.sent(client)
    assert [401, 200] == statuses(acme)
    assert acme.newer_key == acme.credential_of(request)
    assert acme.server.requests[0].body == request.body


async def test_a_clones_request_is_sent_again(acme: Acme, keys: Rotating) -> None:
    """Clones share what their tenant's client learned: later ones do not meet the old key."""
    client = acme.client(api_key=keys)
    await acme.chat(client)
    rotate(acme, keys)
    await acme.chat(client.with_options(timeout=5).with_options(max_retries=0))
    await acme.chat(client.with_options(timeout=5))
    assert [401, 200, 200] == statuses(acme)
    assert 2 == keys.asked


async def test_a_stream_is_asked_for_again(acme: Acme, keys: Rotating) -> None:
    """A stream that meets a revoked key starts again with the newer one."""
    client = acme.client(api_key=keys)
    await acme.chat(client)
    rotate(acme, keys)
    assert "Hello from tenantry." == await acme.streamed(client)
    assert [401, 200] == statuses(acme)


async def test_an_azure_token_is_replaced(azure_acme: Acme) -> None:
    """A token goes through the same gate as a key."""
    keys = Rotating(azure_acme.key)
    client = azure_acme.client(azure_ad_token_provider=keys)
    await azure_acme.chat(client)
    rotate(azure_acme, keys)
    request = await azure_acme.sent(client)
    assert ("bearer", azure_acme.newer_key) == (request.key_kind, request.key)
    assert [401, 200] == statuses(azure_acme)


@pytest.mark.parametrize("file", [bytes, io.BytesIO])
async def test_an_upload_is_sent_again(
    acme: Acme, keys: Rotating, file: Callable[[bytes], object]
) -> None:
    """A multipart body is sent anew from its file, which can be rewound."""
    client = acme.client(api_key=keys)
    await acme.chat(client)
    rotate(acme, keys)
    said = {"file": ("a.txt", file(b"text")), "purpose": "assistants"}
    files: Any = client.files
    stored = await acme.settle(files.create(**said))
    assert [401, 200] == statuses(acme)
    assert (4, "a.txt") == (stored.bytes, stored.filename)


class Pipe(io.RawIOBase):
    """A file that cannot be rewound."""

    def __init__(self) -> None:
        self._chunks = [b"text", b""]

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._chunks.pop(0) if self._chunks else b""

    def seekable(self) -> bool:
        return False


async def test_a_generators_body_is_not_sent_again(acme: Acme, keys: Rotating) -> None:
    """A body that was a generator is gone after one try: the 401 is the SDK's own error."""
    client: Any = acme.client(api_key=keys)
    await acme.chat(client)
    rotate(acme, keys)

    def body() -> Iterator[bytes]:
        yield b"text"

    async def abody() -> AsyncIterator[bytes]:
        yield b"text"

    content = abody() if acme.kind.is_async else body()
    with pytest.raises(openai.AuthenticationError):
        await acme.settle(client.post("/files", cast_to=object, content=content))
    assert [401] == statuses(acme)
    assert (b"text", acme.key) == (
        acme.server.requests[0].body,
        acme.credential_of(acme.server.requests[0]),
    )


async def test_an_upload_from_a_pipe_is_not_sent_again(acme: Acme, keys: Rotating) -> None:
    """A file that cannot be rewound is sent once, and the 401 is handed on."""
    client: Any = acme.client(api_key=keys)
    await acme.chat(client)
    rotate(acme, keys)
    headers = {"Authorization": "Bearer tenantry:api_key"}
    sending = client._client.post(
        f"{client.base_url}files", headers=headers, files={"file": ("a.txt", Pipe())}
    )
    assert 401 == (await acme.settle(sending)).status_code
    assert [401] == statuses(acme)


async def test_a_request_is_sent_again_once(acme: Acme, keys: Rotating) -> None:
    """Where the newer key is refused as well, the SDK's own error arises after two requests."""
    client = acme.client(api_key=keys)
    await acme.chat(client)
    rotate(acme, keys)
    acme.server.revoke(acme.newer_key)
    with pytest.raises(openai.AuthenticationError):
        await acme.chat(client)
    assert [401, 401] == statuses(acme)


async def test_an_unchanged_key_is_not_sent_again(acme: Acme, keys: Rotating) -> None:
    """Where the source has the same key, the 401 is the SDK's own error after one request."""
    client = acme.client(api_key=keys)
    await acme.chat(client)
    rotate(acme, keys)
    keys.secret = acme.key
    with pytest.raises(openai.AuthenticationError) as caught:
        await acme.chat(client)
    assert (401, [401]) == (caught.value.status_code, statuses(acme))


async def test_a_source_is_asked_once_about_a_refused_key(acme: Acme, keys: Rotating) -> None:
    """Requests with a key that stays refused do not ask the source each time."""
    client = acme.client(api_key=keys)
    acme.server.revoke(acme.key)
    for _ in range(5):
        with pytest.raises(openai.AuthenticationError):
            await acme.chat(client)
    assert 2 == keys.asked


async def test_a_secret_header_is_replaced_too(acme: Acme, keys: Rotating) -> None:
    """On a 401 every secret of the request is asked about, those of other headers and the query."""
    gateway = Rotating("older")
    client = acme.client(
        api_key=keys, default_headers={"X-Gateway": gateway}, default_query={"signature": gateway}
    )
    await acme.chat(client)
    acme.server.clear()
    acme.server.fail_next(401)
    gateway.secret = "newer"
    request = await acme.sent(client)
    assert ("newer", ["newer"]) == (request.header["x-gateway"], request.query["signature"])
    assert acme.key == acme.credential_of(request)


async def test_a_401_of_a_redirects_target_is_handed_on(acme: Acme, keys: Rotating) -> None:
    """A request that was redirected is not sent again: the 401 was another URL's answer."""
    client = acme.client(api_key=keys)
    await acme.chat(client)
    rotate(acme, keys)
    version = f"?api-version={acme.api_version}"
    acme.server.redirect_next(f"/openai/models{version}" if acme.kind.is_azure else "/v1/models")
    with pytest.raises(openai.AuthenticationError):
        await acme.get(client, "/elsewhere")
    assert [307, 401] == statuses(acme)


async def test_a_replay_is_an_event(acme: Acme, keys: Rotating) -> None:
    """Hooks hear of a request that was sent again, with the reference and no secret."""
    registry = acme.registry(api_key=keys)
    heard: list[Event] = []
    done = threading.Event()

    def hook(event: Event) -> None:
        if isinstance(event, RequestReplayed):
            heard.append(event)
            done.set()

    registry.subscribe(hook)
    client = acme.of(registry)
    await acme.chat(client)
    rotate(acme, keys)
    await acme.chat(client)
    assert done.wait(5)
    assert ["acme"] == [event.tenant for event in heard]
    assert acme.newer_key not in repr(heard)


# -- no key at all --------------------------------------------------------------------------------


async def test_an_unavailable_key_is_our_own_error(
    acme: Acme, caplog: pytest.LogCaptureFixture
) -> None:
    """A key that cannot be fetched is an error that names tenant and reference, after one try."""
    client = acme.client(api_key={"env": "KEY_ACME"}, max_retries=5)
    with pytest.raises(CredentialUnavailableError) as caught:
        await acme.chat(client)
    assert isinstance(caught.value, openai.OpenAIError)
    assert str(caught.value).startswith(
        "no credential for tenant 'acme': api_key from env KEY_ACME: variable KEY_ACME is not set"
    )
    assert "not set" in str(caught.value.__cause__)
    assert not any("Retrying" in record.getMessage() for record in caplog.records)
    assert () == acme.server.requests


async def test_a_source_that_fails_is_not_asked_per_request(acme: Acme) -> None:
    """Requests in a row, and the SDK's retries, ask a failing source once."""
    asked: list[int] = []

    def broken() -> str:
        asked.append(1)
        raise ConnectionError

    client = acme.client(api_key=broken, max_retries=5)
    for _ in range(5):
        with pytest.raises(CredentialUnavailableError, match="ConnectionError"):
            await acme.chat(client)
    assert [1] == asked


@pytest.mark.parametrize("setting", ["default_headers", "default_query"])
async def test_any_secret_that_is_unavailable_is_our_own_error(
    acme: Acme, setting: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A secret header or parameter that cannot be fetched is the same error, with nothing sent."""
    said: dict[str, Any] = {setting: {"X-Gateway": {"env": "GATEWAY"}}}
    client = acme.client(max_retries=5, **said)
    with pytest.raises(CredentialUnavailableError, match=rf"{setting}\.X-Gateway") as caught:
        await acme.chat(client)
    assert isinstance(caught.value, openai.OpenAIError)
    assert not any("Retrying" in record.getMessage() for record in caplog.records)
    assert () == acme.server.requests


async def test_requests_that_arrive_together_share_one_fetch(acme: Acme, keys: Rotating) -> None:
    """Many first requests ask the source once."""
    client = acme.client(api_key=keys)
    await asyncio.gather(*(acme.chat(client) for _ in range(8)))
    assert 1 == keys.asked


# -- where secrets may stand ----------------------------------------------------------------------


async def test_authorization_may_be_a_secret_header(acme: Acme) -> None:
    """A header that carries credentials may be the tenant's own secret reference."""
    said = {"Proxy-Authorization": {"env": "PROXY"}}
    client = acme.client(default_headers=said, environ={"PROXY": "Basic b2YtYWNtZQ=="})
    request = await acme.sent(client)
    assert "Basic b2YtYWNtZQ==" == request.header["proxy-authorization"]


async def test_tenants_keep_their_keys_apart(acme: Acme) -> None:
    """Two tenants of one registry send each their own key, one after the other."""
    acme.server.allow(acme.foreign_key, tenant="globex")
    tenants = {
        "acme": acme.settings({}),
        "globex": acme.settings({"api_key": SecretStr(acme.foreign_key)}),
    }
    async with ClientRegistry.open({"tenants": tenants}, environ={}) as registry:
        for _ in range(3):
            for name in tenants:
                client: Client = (
                    registry.async_client(name) if acme.kind.is_async else registry.client(name)
                )
                assert name == (await acme.sent(client)).tenant


async def test_a_request_that_would_leave_reads_no_secret(
    acme: Acme, keys: Rotating, elsewhere: OpenAIServer
) -> None:
    """The gate refuses a foreign address before it asks for the secret that would go there."""
    client: Any = acme.client(api_key=keys)
    headers = {"Authorization": "Bearer tenantry:api_key"}
    with pytest.raises(TenantBoundaryError, match="is another address"):
        await acme.settle(client._client.get(elsewhere.base_url, headers=headers))
    assert (0, ()) == (keys.asked, elsewhere.requests)


# -- who is told of requests ----------------------------------------------------------------------


async def test_a_request_is_sent_as_its_tenants(
    acme: Acme, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever looks while it is on its way sees whose it is; the caller's own comes back."""
    begun: list[str] = []
    during: list[str] = []

    class Looks(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name.startswith("httpcore"):
                during.append(current_tenant())

    caplog.set_level(logging.DEBUG)
    registry = acme.registry(http="httpx")
    registry.on_request(begun.append)
    looks = Looks()
    logging.getLogger().addHandler(looks)
    try:
        with use_tenant("somebody"):
            await acme.chat(acme.of(registry))
            assert "somebody" == current_tenant()
    finally:
        logging.getLogger().removeHandler(looks)
    assert (["acme"], "acme") == (begun, during[0])
