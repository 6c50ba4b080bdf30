"""What we rely on that the SDK and its http library do not promise: a change fails here first."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai.lib import azure

from tenantry.clients.http import httpx
from tenantry.clients.sealed import NO_KEY

if TYPE_CHECKING:
    from tests.clients.conftest import Acme


@pytest.fixture
def plain(acme: Acme) -> Any:
    """A client of the SDK's own, which speaks to nobody."""
    sdk: Any = acme.kind.sdk
    if acme.kind.is_azure:
        said = {"azure_endpoint": "http://plain.invalid", "api_version": acme.api_version}
        return sdk(api_key="sk-plain", azure_deployment="of-plain", **said)
    return sdk(api_key="sk-plain", base_url="http://plain.invalid/v1")


async def test_the_sdk_keeps_headers_where_we_restore_them(acme: Acme, plain: Any) -> None:
    """`_custom_headers` is what `default_headers` become, and the http client is `_client`."""
    clone = plain.with_options(default_headers={"X-One": "1"})
    await acme.settle(plain.close())
    assert {"X-One": "1"} == vars(clone)["_custom_headers"]
    assert clone._client is plain._client


async def test_the_sdk_keeps_addresses_where_we_restore_them(azure_acme: Acme) -> None:
    """Azure clients have endpoint, deployment and token under the names that we put back."""
    made: Any = azure_acme.kind.sdk
    said = {"azure_endpoint": "http://plain.invalid", "api_version": azure_acme.api_version}
    client = made(azure_ad_token="eyJ0", azure_deployment="of-plain", **said)
    await azure_acme.settle(client.close())
    assert ("http://plain.invalid", "of-plain", "eyJ0") == (
        str(vars(client)["_azure_endpoint"]),
        vars(client)["_azure_deployment"],
        vars(client)["_azure_ad_token"],
    )


async def test_the_sdk_says_no_key_as_we_do(azure_acme: Acme) -> None:
    """The text that Azure clients without a key have is the one that we give them."""
    assert azure.API_KEY_SENTINEL == NO_KEY


async def test_the_sdk_takes_strictness_privately(acme: Acme, plain: Any) -> None:
    """`_strict_response_validation` is the argument and the attribute, and copies forget it."""
    strict = plain.copy(_extra_kwargs={"_strict_response_validation": True})
    await acme.settle(plain.close())
    assert vars(strict)["_strict_response_validation"]


@pytest.mark.skipif(
    "_ambient_authorizations" not in openai.OpenAI.__annotations__,
    reason="this SDK does not mark what the environment says of Authorization",
)
def test_the_sdk_marks_headers_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`_ambient_authorizations` is what OPENAI_CUSTOM_HEADERS say of Authorization."""
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer of-the-environment")
    with openai.OpenAI(api_key="sk-plain") as client:
        ambient = vars(client)["_ambient_authorizations"]
    assert {"Bearer of-the-environment"} == ambient


def test_multipart_bodies_show_their_fields() -> None:
    """A multipart body has `fields`, those of files a `file`: what tells whether it rewinds."""
    file = io.BytesIO(b"text")
    request = httpx.Request(
        "POST", "http://plain.invalid", data={"purpose": "x"}, files={"file": file}
    )
    fields: Any = vars(request.stream)["fields"]
    assert [file] == [field.file for field in fields if hasattr(field, "file")]
