"""Every parameter of the SDK's constructors, as it goes over the wire or stands on the client."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai.types import FileObject
from pydantic import SecretStr

from tenantry import TenantBoundaryError, UnsupportedSettingError
from tenantry.clients.http import httpx

if TYPE_CHECKING:
    from tests.clients.conftest import Acme

TAKEN = inspect.signature(openai.OpenAI.__init__).parameters
WITH_ADMIN_KEY = pytest.mark.skipif("admin_api_key" not in TAKEN, reason="openai>=2.34 takes it")
WITH_RESIDENCY = pytest.mark.skipif("data_residency" not in TAKEN, reason="openai>=3.3 takes it")


# -- credentials ----------------------------------------------------------------------------------


async def test_a_key_from_code_is_sent(acme: Acme) -> None:
    """A key that code passes as a SecretStr is what the server receives, the one way it goes."""
    request = await acme.sent(acme.client(api_key=SecretStr(acme.key)))
    assert acme.key == acme.credential_of(request)


async def test_a_key_from_a_variable_is_sent(acme: Acme) -> None:
    """`{env: NAME}` reads the environment that the registry was opened with."""
    client = acme.client(api_key={"env": "KEY_ACME"}, environ={"KEY_ACME": acme.key})
    assert acme.key == acme.credential_of(await acme.sent(client))


async def test_a_key_from_a_function_is_sent(acme: Acme) -> None:
    """A function stands for its result, for sync and async clients alike."""
    request = await acme.sent(acme.client(api_key=lambda: acme.key))
    assert acme.key == acme.credential_of(request)


async def test_a_key_from_a_coroutine_function_is_sent(acme: Acme) -> None:
    """An async function stands for its result, for sync and async clients alike."""

    async def key() -> str:
        return acme.key

    request = await acme.sent(acme.client(api_key=key))
    assert acme.key == acme.credential_of(request)


@WITH_ADMIN_KEY
async def test_the_admin_key_goes_to_admin_endpoints(openai_acme: Acme) -> None:
    """`admin_api_key` is what admin endpoints receive, and `api_key` what all others do."""
    acme = openai_acme
    acme.server.allow(acme.admin_key)
    client: Any = acme.client(api_key=SecretStr(acme.key), admin_api_key=SecretStr(acme.admin_key))
    await acme.settle(client.admin.organization.projects.list())
    await acme.chat(client)
    admin, chat = acme.server.requests
    assert (acme.admin_key, acme.key) == (acme.credential_of(admin), acme.credential_of(chat))


@WITH_ADMIN_KEY
async def test_a_tenant_may_have_an_admin_key_alone(openai_acme: Acme) -> None:
    """With `admin_api_key` alone admin endpoints work, and the SDK refuses to call others."""
    acme = openai_acme
    acme.server.allow(acme.admin_key)
    client: Any = acme.client(admin_api_key=SecretStr(acme.admin_key)).with_options(timeout=5)
    await acme.settle(client.admin.organization.projects.list())
    assert acme.admin_key == acme.credential_of(acme.server.requests[-1])
    with pytest.raises(TypeError, match="authentication"):
        await acme.chat(client)


@WITH_ADMIN_KEY
async def test_the_admin_key_is_not_on_the_client(acme: Acme) -> None:
    """The client's `admin_api_key` is a placeholder, for Azure too, and None where none is said."""
    client: Any = acme.client(api_key=SecretStr(acme.key), admin_api_key=SecretStr(acme.admin_key))
    assert "tenantry:admin_api_key" == client.admin_api_key
    plain: Any = acme.client()
    assert plain.admin_api_key is None


@pytest.mark.skipif("admin_api_key" in TAKEN, reason="this SDK takes admin_api_key")
async def test_an_admin_key_needs_a_newer_sdk(acme: Acme) -> None:
    """Where the SDK does not take `admin_api_key`, the error says which one does."""
    with pytest.raises(UnsupportedSettingError, match=r"pip install 'openai>=2\.34'"):
        acme.client(api_key=SecretStr(acme.key), admin_api_key=SecretStr(acme.admin_key))


# -- who is asking --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "header"),
    [("organization", "openai-organization"), ("project", "openai-project")],
)
async def test_organization_and_project_are_headers(acme: Acme, setting: str, header: str) -> None:
    """`organization` and `project` are sent as headers, and no header where they are not said."""
    settings: dict[str, Any] = {setting: "of-acme"}
    said = await acme.sent(acme.client(**settings))
    unsaid = await acme.sent(acme.client())
    assert "of-acme" == said.header[header]
    assert header not in unsaid.header


async def test_default_headers_are_sent(acme: Acme) -> None:
    """A plain header is sent as it stands, a secret one as its secret."""
    headers = {"X-Team": "blue", "X-Gateway-Key": {"env": "GATEWAY"}}
    client = acme.client(default_headers=headers, environ={"GATEWAY": "gateway-secret"})
    request = await acme.sent(client)
    assert ("blue", "gateway-secret") == (
        request.header["x-team"],
        request.header["x-gateway-key"],
    )
    assert acme.key == acme.credential_of(request)


async def test_a_secret_header_keeps_its_scheme(acme: Acme) -> None:
    """A secret that says `Bearer` itself arrives as it is."""
    headers = {"X-Upstream": {"env": "UPSTREAM"}}
    client = acme.client(default_headers=headers, environ={"UPSTREAM": "Bearer of-upstream"})
    assert "Bearer of-upstream" == (await acme.sent(client)).header["x-upstream"]


async def test_default_query_is_sent(acme: Acme) -> None:
    """A plain parameter is sent as it stands, a secret one as its secret, quoted."""
    query = {"team": "blue", "limit": 5, "signature": {"env": "SIGNATURE"}}
    client = acme.client(default_query=query, environ={"SIGNATURE": "a&b=c d"})
    request = await acme.sent(client)
    said = {name: request.query[name] for name in query}
    assert {"team": ["blue"], "limit": ["5"], "signature": ["a&b=c d"]} == said


# -- where to -------------------------------------------------------------------------------------


async def test_the_base_url_has_a_path(acme: Acme) -> None:
    """Requests go below the path of `base_url`."""
    surface = "openai" if acme.kind.is_azure else "v1"
    client = acme.client(base_url=f"{acme.server.url}/gateway/acme/{surface}")
    request = await acme.models(client)
    assert f"/gateway/acme/{surface}/models" == request.path


def test_without_an_address_the_openai_client_speaks_to_openai(openai_acme: Acme) -> None:
    """A tenant that says no address has the SDK's own."""
    client = openai_acme.client(base_url=None)
    assert "https://api.openai.com/v1/" == str(client.base_url)


def test_the_websocket_address_is_on_the_client(acme: Acme) -> None:
    """`websocket_base_url` is what the SDK connects WebSockets to, clones included."""
    client = acme.client(websocket_base_url="wss://realtime.example/v1")
    clone = client.with_options(timeout=1)
    assert "wss://realtime.example/v1" == client.websocket_base_url == clone.websocket_base_url


@WITH_RESIDENCY
def test_data_residency_chooses_the_address(
    openai_acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`data_residency` gives the region's address, which the tenant and its clones are held to."""
    monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere.example/v1")
    client = openai_acme.client(data_residency="eu")
    clone = client.with_options(timeout=1)
    eu = "https://eu.api.openai.com/v1/"
    assert (eu, eu) == (str(client.base_url), str(clone.base_url))
    with pytest.raises(TenantBoundaryError, match=eu):
        client.with_options(base_url="https://api.openai.com/v1")


@pytest.mark.skipif("data_residency" in TAKEN, reason="this SDK takes data_residency")
def test_data_residency_needs_a_newer_sdk(openai_acme: Acme) -> None:
    """Where the SDK does not take `data_residency`, the error says which one does."""
    with pytest.raises(UnsupportedSettingError, match=r"pip install 'openai>=3\.3'"):
        openai_acme.client(data_residency="eu")


# -- how ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (7, httpx.Timeout(7.0)),
        ("250ms", httpx.Timeout(0.25)),
        ({"connect": "2s", "read": "1m"}, httpx.Timeout(600.0, connect=2.0, read=60.0)),
        ({"read": None}, httpx.Timeout(600.0, connect=5.0, read=None)),
        (None, httpx.Timeout(None)),
    ],
    ids=["number", "text", "parts", "no limit to one part", "no limit"],
)
def test_time_limits_are_the_clients(acme: Acme, said: object, expected: httpx.Timeout) -> None:
    """A number sets all four parts, parts set their own, null is no limit, else the SDK's holds."""
    assert expected == acme.client(timeout=said).timeout


def test_without_time_limits_the_sdks_apply(acme: Acme) -> None:
    """A tenant that says no `timeout` has the SDK's."""
    assert openai.DEFAULT_TIMEOUT == acme.client().timeout


@pytest.mark.parametrize(
    ("said", "requests"), [({}, 3), ({"max_retries": 4}, 5), ({"max_retries": 0}, 1)]
)
async def test_failures_are_retried_as_often_as_said(
    acme: Acme, said: dict[str, Any], requests: int
) -> None:
    """A request that keeps failing is sent once and `max_retries` times more, two by default."""
    acme.server.fail_next(500, times=None, retry_after=0.001)
    with pytest.raises(openai.InternalServerError):
        await acme.chat(acme.client(**said))
    assert requests == len(acme.server.requests)


@pytest.mark.parametrize("strict", [True, False])
async def test_responses_are_validated_where_it_is_said(acme: Acme, strict: bool) -> None:
    """With `strict_response_validation` an answer of another shape is an error, for clones too."""
    client = acme.client(strict_response_validation=strict)
    said = {"file": ("a.txt", b"text"), "purpose": "assistants"}
    files: Any = client.files
    stored = await acme.settle(files.create(**said))
    for each in (client, client.with_options(timeout=5)):
        got = acme.get(each, f"/files/{stored.id}/content", cast_to=FileObject)
        if strict:
            with pytest.raises(openai.APIResponseValidationError):
                await got
        else:
            assert "text" == await got
