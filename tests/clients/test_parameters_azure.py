"""The parameters that only Azure clients have, as they go over the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import SecretStr

if TYPE_CHECKING:
    from tests.clients.conftest import Acme

TOKEN = "eyJ0eXAi.of-acme.0123456789"


async def test_a_key_goes_as_api_key(azure_acme: Acme) -> None:
    """Azure takes keys in `api-key`, and never sees an `Authorization` header with one."""
    client = azure_acme.client()
    for each in (client, client.with_options(timeout=5)):
        request = await azure_acme.sent(each)
        assert azure_acme.key == request.header["api-key"]
        assert "authorization" not in request.header


@pytest.mark.parametrize("setting", ["azure_ad_token", "azure_ad_token_provider"])
async def test_a_token_goes_as_bearer(azure_acme: Acme, setting: str) -> None:
    """Both spellings of a token end in `Authorization`, and `api-key` is not sent."""
    azure_acme.server.allow(TOKEN)
    said: dict[str, Any] = {setting: {"env": "AD_TOKEN"}}
    client = azure_acme.client(**said, environ={"AD_TOKEN": TOKEN})
    for each in (client, client.with_options(timeout=5)):
        request = await azure_acme.sent(each)
        assert f"Bearer {TOKEN}" == request.header["authorization"]
        assert "api-key" not in request.header


async def test_a_token_may_come_from_a_function(azure_acme: Acme) -> None:
    """`azure_ad_token_provider` takes a function, and asks it once for many requests."""
    azure_acme.server.allow(TOKEN)
    asked: list[str] = []

    def provider() -> str:
        asked.append(TOKEN)
        return TOKEN

    client = azure_acme.client(azure_ad_token_provider=provider)
    for each in (client, client.with_options(timeout=5), client):
        assert "bearer" == (await azure_acme.sent(each)).key_kind
    assert [TOKEN] == asked


async def test_the_api_version_goes_along(azure_acme: Acme) -> None:
    """Every request has `api-version`, those of clones as well."""
    client = azure_acme.client(api_version="2025-01-01-preview", default_query={"team": "blue"})
    for each in (client, client.with_options(default_query={"more": "yes"})):
        request = await azure_acme.sent(each)
        assert ["2025-01-01-preview"] == request.query["api-version"]
        assert ["blue"] == request.query["team"]


async def test_the_model_names_the_deployment(azure_acme: Acme) -> None:
    """Without `azure_deployment` the model of a call is the deployment that it goes to."""
    request = await azure_acme.sent(azure_acme.client(), model="gpt-of-acme")
    assert "/openai/deployments/gpt-of-acme/chat/completions" == request.path


async def test_a_deployment_is_every_models(azure_acme: Acme) -> None:
    """With `azure_deployment` every call by model goes there, and others do not; clones as well."""
    client = azure_acme.client(azure_deployment="of-acme")
    clones = (client, client.with_options(timeout=5), client.with_options().copy().copy())
    for each in clones:
        chat = await azure_acme.sent(each, model="gpt-4o")
        models = await azure_acme.models(each)
        assert "/openai/deployments/of-acme/chat/completions" == chat.path
        assert "/openai/models" == models.path


async def test_the_endpoint_may_have_a_path(azure_acme: Acme) -> None:
    """Requests go below the path of `azure_endpoint`, as behind an API gateway."""
    endpoint = f"{azure_acme.server.url}/gateway/acme/"
    client = azure_acme.client(azure_endpoint=endpoint, azure_deployment="of-acme")
    for each in (client, client.with_options(timeout=5)):
        assert "/gateway/acme/openai/models" == (await azure_acme.models(each)).path


async def test_the_endpoint_may_be_a_base_url(azure_acme: Acme) -> None:
    """An Azure tenant may say `base_url`, which is taken as it is; clones keep to it."""
    base_url = f"{azure_acme.server.url}/openai/deployments/of-acme"
    client = azure_acme.client(base_url=base_url)
    for each in (client, client.with_options(timeout=5)):
        path = (await azure_acme.sent(each)).path
        assert "/openai/deployments/of-acme/chat/completions" == path


async def test_azures_v1_surface_is_for_openai_clients(openai_acme: Acme) -> None:
    """Azure's `/openai/v1/` takes a token from a plain OpenAI client."""
    openai_acme.server.allow(TOKEN)
    base_url = f"{openai_acme.server.url}/openai/v1/"
    request = await openai_acme.sent(
        openai_acme.client(base_url=base_url, api_key=SecretStr(TOKEN))
    )
    assert ("/openai/v1/chat/completions", f"Bearer {TOKEN}") == (
        request.path,
        request.header["authorization"],
    )


async def test_a_wrong_key_is_azures_own_error(azure_acme: Acme) -> None:
    """What Azure says of a wrong key arrives as the SDK words it."""
    client = azure_acme.client(api_key=SecretStr(azure_acme.foreign_key))
    with pytest.raises(openai.AuthenticationError):
        await azure_acme.chat(client)
