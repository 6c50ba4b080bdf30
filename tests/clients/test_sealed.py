"""No option, header or path of a handed-out client takes its key or its traffic elsewhere."""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai import OpenAI
from pydantic import SecretStr

from tenantry import OptionNotAllowedError, TenantBoundaryError
from tenantry.clients.sealed import SealedAzureOpenAI, SealedOpenAI

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clients.conftest import Acme

    from tenantry.testing import OpenAIServer


def tells_itself(error: TenantBoundaryError, caplog: pytest.LogCaptureFixture) -> bool:
    """Whether the SDK let the error pass as it is, and did not try again."""
    retried = any("Retrying" in record.getMessage() for record in caplog.records)
    return isinstance(error, openai.OpenAIError) and not retried


# -- options --------------------------------------------------------------------------------------

MOVES_A_CREDENTIAL: dict[str, Any] = {
    "api_key": "sk-of-another",
    "base_url": "https://elsewhere.example/v1",
    "http_client": object(),
    "webhook_secret": "of-another",
    "websocket_base_url": "wss://elsewhere.example",
    "_extra_kwargs": {},
}


@pytest.mark.parametrize("option", MOVES_A_CREDENTIAL)
def test_the_registry_refuses_options_by_name(acme: Acme, option: str) -> None:
    """An option that could move a credential is refused, with its name and the allowed ones."""
    registry = acme.registry()
    with pytest.raises(OptionNotAllowedError, match=f"'{option}' could move") as caught:
        acme.of(registry, **{option: MOVES_A_CREDENTIAL[option]})
    assert option == caught.value.option
    assert "timeout" in caught.value.allowed


def test_the_registry_refuses_unknown_options(acme: Acme) -> None:
    """An option that the SDK does not know either is called unknown."""
    registry = acme.registry()
    with pytest.raises(OptionNotAllowedError, match="'time_out' is unknown"):
        acme.of(registry, time_out=5)


@pytest.mark.parametrize("option", ["default_headers", "set_default_headers"])
@pytest.mark.parametrize("name", ["Authorization", "AUTHORIZATION", "api-key", "Api-Key"])
def test_the_registry_refuses_credential_headers(acme: Acme, option: str, name: str) -> None:
    """A header that carries credentials is refused in any case of letters, by name."""
    registry = acme.registry()
    with pytest.raises(OptionNotAllowedError) as caught:
        acme.of(registry, **{option: {"X-Fine": "yes", name: "sk-of-another"}})
    assert f"{option}[{name}]" == caught.value.option
    assert "sk-of-another" not in str(caught.value)


FOREIGN: dict[str, Any] = {
    "api_key": "sk-of-another",
    "base_url": "https://elsewhere.example/v1",
    "workload_identity": {"identity_provider_id": "idp"},
    "data_residency": "eu",
    "websocket_base_url": "wss://elsewhere.example",
}


@pytest.mark.parametrize("option", FOREIGN)
def test_a_client_refuses_what_is_not_the_tenants(acme: Acme, option: str) -> None:
    """`with_options` and `copy` refuse another credential or address, on clones as well."""
    if option == "workload_identity" and acme.kind.is_azure:
        pytest.skip("Azure clients take no workload identity")
    client: Any = acme.client()
    for each in (client, client.with_options(timeout=5)):
        for make in (each.with_options, each.copy):
            with pytest.raises(TenantBoundaryError, match="'acme' may only speak to") as caught:
                make(**{option: FOREIGN[option]})
            assert "sk-of-another" not in str(caught.value)


def test_a_client_refuses_a_callable_key(acme: Acme) -> None:
    """A function is no way to bring another key either."""
    client: Any = acme.client()
    with pytest.raises(TenantBoundaryError, match="api_key is not an option"):
        client.with_options(api_key=lambda: "sk-of-another")


@pytest.mark.skipif(
    "admin_api_key" not in inspect.signature(OpenAI).parameters, reason="openai>=2.34 takes it"
)
def test_a_client_refuses_another_admin_key(acme: Acme) -> None:
    """`admin_api_key` of a clone is the tenant's or none."""
    client: Any = acme.client()
    with pytest.raises(TenantBoundaryError, match="admin_api_key is not an option"):
        client.with_options(admin_api_key="sk-of-another")


@pytest.mark.skipif(
    "provider" not in inspect.signature(OpenAI).parameters, reason="openai>=2.44 takes it"
)
def test_a_client_refuses_the_sdks_providers(openai_acme: Acme) -> None:
    """The SDK's own `provider=` signs past the gate, and is refused."""
    from openai.providers import bedrock

    client: Any = openai_acme.client()
    with pytest.raises(TenantBoundaryError, match="provider is not an option"):
        type(client)(http_client=client._client, provider=bedrock())


@pytest.mark.parametrize(
    ("option", "value"),
    [("azure_ad_token", "eyJ0.of-another"), ("azure_ad_token_provider", lambda: "eyJ0.of-another")],
)
def test_an_azure_client_refuses_other_tokens(azure_acme: Acme, option: str, value: object) -> None:
    """A token, or a function that gives one, is not an option."""
    client: Any = azure_acme.client()
    with pytest.raises(TenantBoundaryError, match=option):
        client.with_options(**{option: value})


def test_a_client_refuses_another_http_client(acme: Acme) -> None:
    """Another http client, even that of another tenant's client, would not pass the gate."""
    client: Any = acme.client()
    other: Any = acme.client()
    with pytest.raises(TenantBoundaryError, match="http_client"):
        client.with_options(http_client=other._client)
    assert client._client is client.with_options(http_client=client._client)._client


async def test_the_tenants_own_address_is_an_option(acme: Acme) -> None:
    """`with_options(base_url=...)` within the tenant's own address is allowed."""
    client: Any = acme.client()
    clone = client.with_options(base_url=client.base_url)
    assert acme.key == acme.credential_of(await acme.sent(clone))


# -- headers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Authorization", "authorization", "api-key", "API-KEY"])
async def test_a_foreign_credential_is_not_sent(
    acme: Acme, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A request with a credential of its own is refused after one try, with nothing sent."""
    client = acme.client(max_retries=5)
    for value in (f"Bearer {acme.foreign_key}", acme.foreign_key, "Basic YTpi"):
        with pytest.raises(TenantBoundaryError, match="not the tenant's") as caught:
            await acme.chat(client, extra_headers={name: value})
        assert tells_itself(caught.value, caplog)
        assert acme.foreign_key not in str(caught.value)
    assert () == acme.server.requests


async def test_a_clone_with_a_foreign_credential_sends_nothing(acme: Acme) -> None:
    """A header that `with_options` takes without a word is refused at the gate."""
    name = "api-key" if acme.kind.is_azure else "Authorization"
    client = acme.client().with_options(default_headers={name: "Bearer of-another"})
    with pytest.raises(TenantBoundaryError):
        await acme.chat(client)
    assert () == acme.server.requests


async def test_two_credentials_are_not_sent(acme: Acme) -> None:
    """A placeholder beside a foreign credential of the other spelling does not help it through."""
    other = "Authorization" if acme.kind.is_azure else "api-key"
    with pytest.raises(TenantBoundaryError, match=other.lower()):
        await acme.chat(acme.client(), extra_headers={other: acme.foreign_key})
    assert () == acme.server.requests


async def test_a_foreign_host_header_is_not_sent(
    acme: Acme, caplog: pytest.LogCaptureFixture
) -> None:
    """A `Host` header that is not the URL's is refused; the URL's own passes."""
    client = acme.client(max_retries=5)
    with pytest.raises(TenantBoundaryError, match="Host header") as caught:
        await acme.chat(client, extra_headers={"Host": "elsewhere.example"})
    assert tells_itself(caught.value, caplog)
    assert () == acme.server.requests
    own = acme.server.url.removeprefix("http://")
    assert 200 == (await acme.sent(client, extra_headers={"Host": own})).status


async def test_a_key_of_the_tenant_is_recognised(acme: Acme) -> None:
    """A request that bears the tenant's own key already is the tenant's."""
    client = acme.client(api_key=SecretStr(acme.key))
    await acme.chat(client)
    name, value = ("api-key", acme.key) if acme.kind.is_azure else ("Authorization", acme.key)
    prefix = "" if acme.kind.is_azure else "Bearer "
    request = await acme.sent(client, extra_headers={name: prefix + value})
    assert 200 == request.status


# -- paths ----------------------------------------------------------------------------------------


@pytest.fixture
def gateway(acme: Acme) -> Iterator[dict[str, Any]]:
    """What a tenant says that is one of many behind one gateway."""
    if acme.kind.is_azure:
        yield {"azure_endpoint": f"{acme.server.url}/t-acme"}
    else:
        yield {"base_url": f"{acme.server.url}/t-acme/v1"}


@pytest.mark.parametrize(
    "path",
    [
        "../../../t-globex/v1/models",
        "/../../t-globex/v1/models",
        "%2e%2e/%2e%2e/%2e%2e/t-globex/v1/models",
        "..%2f..%2f..%2ft-globex/v1/models",
        "%252e%252e%252f%252e%252e%252f%252e%252e/t-globex/v1/models",
        "%25252525252e./%25252525252e./%25252525252e./t-globex/v1/models",
        "..\\..\\..\\t-globex/v1/models",
        "%5c..%5c..%5c..%5ct-globex/v1/models",
        "..;/..;a=b/..;/t-globex/v1/models",
    ],
)
async def test_a_path_does_not_lead_out(
    acme: Acme, gateway: dict[str, Any], path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Dot segments, however they are written, do not lead to another tenant's path."""
    client = acme.client(**gateway, max_retries=5)
    with pytest.raises(TenantBoundaryError, match="leads out") as caught:
        await acme.get(client, path)
    assert tells_itself(caught.value, caplog)
    assert () == acme.server.requests


async def test_an_absolute_url_does_not_lead_out(
    acme: Acme, gateway: dict[str, Any], elsewhere: OpenAIServer
) -> None:
    """An absolute URL to another host, or another path of the same one, is refused."""
    client = acme.client(**gateway, max_retries=5)
    for url in (f"{elsewhere.base_url}/models", f"{acme.server.url}/t-globex/v1/models"):
        with pytest.raises(TenantBoundaryError):
            await acme.get(client, url)
    assert ((), ()) == (acme.server.requests, elsewhere.requests)


async def test_an_absolute_url_within_is_sent(acme: Acme) -> None:
    """An absolute URL below the tenant's own address is its own business."""
    client: Any = acme.client()
    url = f"{client.base_url}models"
    await acme.get(client, url)
    assert [200] == [request.status for request in acme.server.requests]


async def test_a_client_cannot_be_turned_elsewhere(acme: Acme, elsewhere: OpenAIServer) -> None:
    """Setting `base_url` on a client does not take its key along."""
    client: Any = acme.client()
    clone = client.with_options(timeout=5)
    clone.base_url = elsewhere.base_url
    if acme.kind.is_azure:
        clone._azure_endpoint = None
    with pytest.raises(TenantBoundaryError, match="is another address"):
        await acme.chat(clone)
    assert () == elsewhere.requests


# -- redirects ------------------------------------------------------------------------------------


async def test_a_redirect_does_not_lead_out(
    acme: Acme, elsewhere: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A redirect to a foreign origin is refused: neither key nor prompt arrive there."""
    acme.server.redirect_next(f"{elsewhere.base_url}/chat/completions")
    with pytest.raises(TenantBoundaryError, match="is another address") as caught:
        await acme.chat(acme.client(max_retries=5))
    assert tells_itself(caught.value, caplog)
    assert (1, ()) == (len(acme.server.requests), elsewhere.requests)


async def test_a_redirect_does_not_lead_to_another_tenant(
    acme: Acme, gateway: dict[str, Any]
) -> None:
    """A redirect to another path of the same origin is refused where a path is the boundary."""
    acme.server.redirect_next(f"{acme.server.url}/t-globex/v1/models")
    client = acme.client(**gateway)
    with pytest.raises(TenantBoundaryError, match="leads out"):
        await acme.settle(client.models.list())
    assert 1 == len(acme.server.requests)


async def test_a_redirect_within_is_followed(acme: Acme) -> None:
    """A redirect below the tenant's own address is followed, with the key."""
    azure_models = f"/openai/models?api-version={acme.api_version}"
    acme.server.redirect_next(azure_models if acme.kind.is_azure else "/v1/models")
    client = acme.client()
    await acme.get(client, "/elsewhere")
    assert [307, 200] == [request.status for request in acme.server.requests]
    assert acme.key == acme.credential_of(acme.server.requests[-1])


# -- what a client shows --------------------------------------------------------------------------


async def test_a_client_shows_no_secret(acme: Acme) -> None:
    """No attribute, repr or header that a client shows holds the key, before or after requests."""
    client: Any = acme.client()
    clone = client.with_options(timeout=5)
    await acme.chat(client)
    await acme.chat(clone)
    for each in (client, clone):
        shown = [repr(each), each.api_key, repr(vars(each)), repr(each.auth_headers)]
        assert not any(acme.key in text for text in shown)
        assert "acme" in repr(each)
        assert type(each).__name__ in repr(each)
        assert acme.server.url in repr(each)
        assert "acme" == each.tenant


def test_a_shallow_copy_is_sealed(acme: Acme) -> None:
    """`copy.copy` gives a client of the same tenant behind the same gate."""
    client: Any = acme.client()
    twin = copy.copy(client)
    assert client.gate is twin.gate
    assert repr(client) == repr(twin)


@pytest.mark.parametrize("sealed", [SealedOpenAI, SealedAzureOpenAI])
def test_sealed_clients_are_not_made_by_hand(sealed: type[Any]) -> None:
    """Without a tenant's http client there is nothing to seal."""
    with pytest.raises(TypeError, match="made by ClientRegistry"):
        sealed(api_key="sk-by-hand")
