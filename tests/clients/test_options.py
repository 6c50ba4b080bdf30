"""What settings say, as the SDK's constructors take it, and what a caller may say besides."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI
from pydantic import SecretStr

from tenantry import OptionNotAllowedError, UnsupportedSettingError
from tenantry.clients import ClientOptions, checked, options
from tenantry.clients.gate import Gate
from tenantry.clients.slots import API_KEY, Slot
from tenantry.events import EventStream
from tenantry.settings import References, SecretReference, TenantSettings
from tenantry.sources import kinds

if TYPE_CHECKING:
    from tenantry.credential import Credential


def settings(**said: Any) -> TenantSettings:
    references = References(kinds())
    return TenantSettings.model_validate(
        {"api_key": SecretStr("sk-acme"), **said}, context=references
    )


def gate(*placeholders: str) -> Gate:
    nobody: Any = None
    credential: Credential = nobody  # never asked here
    return Gate("acme", [Slot(each, credential) for each in placeholders], EventStream())


@pytest.mark.parametrize("sdk", [OpenAI, AsyncOpenAI, AzureOpenAI, AsyncAzureOpenAI])
def test_every_option_is_the_sdks(sdk: type[Any]) -> None:
    """What `client()` takes is what the SDK's own `with_options` takes, for all classes."""
    taken = inspect.signature(sdk.with_options).parameters
    assert set() == ClientOptions.__annotations__.keys() - taken.keys()


def test_every_option_of_the_sdk_was_looked_at() -> None:
    """What the SDK's `with_options` takes is allowed, or known to move a credential or a seal."""
    moving = {
        *("self", "api_key", "admin_api_key", "workload_identity", "provider", "webhook_secret"),
        *("websocket_base_url", "base_url", "data_residency", "http_client"),
        *("_enforce_credentials", "_extra_kwargs"),
    }
    sdk: type[Any] = OpenAI
    taken = inspect.signature(sdk.with_options).parameters
    assert set() == taken.keys() - moving - ClientOptions.__annotations__.keys()


def test_every_parameter_of_the_sdk_was_looked_at() -> None:
    """What the constructors take is a setting of a tenant, or known to be none."""
    none = {"provider", "http_client", "_enforce_credentials"}
    private = {"_strict_response_validation"}
    sdks: list[type[Any]] = [OpenAI, AsyncOpenAI, AzureOpenAI, AsyncAzureOpenAI]
    for sdk in sdks:
        taken = inspect.signature(sdk).parameters.keys()
        assert set() == taken - none - private - TenantSettings.model_fields.keys()
        assert private < taken


@pytest.mark.parametrize("option", [{}, {"timeout": 5}, {"default_headers": None}])
def test_allowed_options_pass(option: dict[str, Any]) -> None:
    """Options that move nothing are not looked into."""
    checked(option)


@pytest.mark.parametrize(
    ("option", "reason"), [("base_url", "could move"), ("timeouts", "is unknown")]
)
def test_other_options_are_refused(option: str, reason: str) -> None:
    """An error names the option, the reason and what is allowed."""
    with pytest.raises(OptionNotAllowedError, match=reason) as caught:
        checked({"timeout": 5, option: 1})
    assert (option, options.ALLOWED) == (caught.value.option, caught.value.allowed)


def test_openai_gets_its_own_address_by_default() -> None:
    """The address is always passed, so that the SDK does not look for one in the environment."""
    arguments = options.openai_arguments(settings(), gate(API_KEY))
    assert API_KEY == arguments["api_key"]
    assert "https://api.openai.com/v1/" == str(arguments["base_url"])


def test_without_a_key_the_sdk_does_not_look_for_one() -> None:
    """A tenant without a key of its own passes the empty text, which the SDK takes for given."""
    assert "" == options.openai_arguments(settings(), gate())["api_key"]


def test_secrets_become_placeholders() -> None:
    """No secret and no reference is among the arguments, for OpenAI as for Azure."""
    said = {
        "default_headers": {"X-Team": "blue", "X-Key": {"env": "KEY"}},
        "default_query": {"sig": {"env": "SIG"}},
        "webhook_secret": {"env": "WEBHOOK"},
    }
    azure = {"provider": "azure", "azure_endpoint": "http://plain.invalid", "api_version": "1"}
    for arguments in (
        options.openai_arguments(settings(**said), gate(API_KEY)),
        options.azure_arguments(settings(**said, **azure), gate(API_KEY), "ask"),
    ):
        assert "tenantry:default_headers.X-Key" == arguments["default_headers"]["X-Key"]
        assert "tenantry:default_query.sig" == arguments["default_query"]["sig"]
        assert "tenantry:webhook_secret" == arguments["webhook_secret"]
        assert not any(isinstance(value, SecretReference) for value in arguments.values())
        assert "sk-acme" not in repr(arguments)


@pytest.mark.parametrize(
    ("said", "needs"),
    [
        ({"admin_api_key": {"env": "ADMIN"}}, "openai>=2.34"),
        ({"data_residency": "eu"}, "openai>=3.3"),
    ],
)
def test_what_the_sdk_does_not_take_is_refused(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, Any], needs: str
) -> None:
    """A setting is not left out in silence where the installed SDK does not take it."""
    monkeypatch.setattr(options, "_constructor", lambda: frozenset({"api_key", "base_url"}))
    with pytest.raises(UnsupportedSettingError) as caught:
        options.openai_arguments(settings(**said), gate(API_KEY))
    assert (next(iter(said)), needs) == (caught.value.setting, caught.value.needs)


@pytest.mark.parametrize("said", [{"admin_api_key": {"env": "ADMIN"}}, {"data_residency": "eu"}])
def test_what_the_sdk_takes_is_passed(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, Any]
) -> None:
    """Where the SDK takes a setting it is among the arguments."""
    monkeypatch.setattr(options, "_constructor", lambda: frozenset(said))
    assert said.keys() <= options.openai_arguments(settings(**said), gate(API_KEY)).keys()
