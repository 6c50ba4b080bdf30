"""What settings say becomes what the SDK's constructors and `with_options` take."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from openai import OpenAI
from typing_extensions import TypedDict

from tenantry.clients.http import parsed, timeout
from tenantry.clients.sealed import NO_KEY
from tenantry.clients.slots import ADMIN_API_KEY, API_KEY, HEADERS, QUERY, WEBHOOK_SECRET
from tenantry.errors import OptionNotAllowedError, UnsupportedSettingError
from tenantry.settings import SecretReference
from tenantry.settings.tenant import CREDENTIAL_HEADERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenantry.clients.gate import Gate
    from tenantry.clients.http import httpx
    from tenantry.settings import TenantSettings

OPENAI_BASE_URL = "https://api.openai.com/v1"


class ClientOptions(TypedDict, total=False):
    """What `client()` and `async_client()` take besides the tenant: the SDK's own options.

    Times are in seconds. Nothing that could move a credential is among them.
    """

    timeout: float | httpx.Timeout | None
    max_retries: int
    default_headers: Mapping[str, str] | None
    set_default_headers: Mapping[str, str] | None
    default_query: Mapping[str, object] | None
    set_default_query: Mapping[str, object] | None
    organization: str | None
    project: str | None


ALLOWED = tuple(ClientOptions.__annotations__)


def checked(options: Mapping[str, Any]) -> None:
    """Refuse options that are unknown, or that could move a credential.

    Raises:
        OptionNotAllowedError: naming the option and those that are allowed.
    """
    for option in options:
        if option not in ALLOWED:
            known = option in inspect.signature(OpenAI.copy).parameters
            reason = "could move the tenant's credential" if known else "is unknown"
            raise OptionNotAllowedError(option, allowed=ALLOWED, reason=reason)
    for option in ("default_headers", "set_default_headers"):
        for name in options.get(option) or ():
            if name.casefold() in CREDENTIAL_HEADERS:
                reason = "carries a credential, which is the tenant's own"
                raise OptionNotAllowedError(f"{option}[{name}]", allowed=ALLOWED, reason=reason)


def openai_arguments(settings: TenantSettings, gate: Gate) -> dict[str, Any]:
    """Return the arguments for `OpenAI` and `AsyncOpenAI`."""
    arguments = _common_arguments(settings)
    # A key that is the empty text keeps the SDK from asking the environment for one.
    arguments["api_key"] = API_KEY if gate.has_key else ""
    if settings.data_residency is not None:
        arguments["data_residency"] = settings.data_residency
    else:
        arguments["base_url"] = parsed(settings.base_url or OPENAI_BASE_URL)
    return _supported(arguments, gate.tenant)


def azure_arguments(settings: TenantSettings, gate: Gate, ask: object) -> dict[str, Any]:
    """Return the arguments for `AzureOpenAI` and `AsyncAzureOpenAI`; `ask` is the callable token.

    Tenants with a key get their placeholder by the token callable too: on Azure the SDK sent an
    empty key for a callable `api_key` until 3.4. The gate turns it into the `api-key` header.
    """
    arguments = _common_arguments(settings)
    arguments["api_version"] = settings.api_version
    arguments["api_key"] = NO_KEY
    arguments["azure_ad_token_provider"] = ask
    if settings.base_url is not None:
        arguments["base_url"] = settings.base_url
    else:
        arguments["azure_endpoint"] = settings.azure_endpoint
        arguments["azure_deployment"] = settings.azure_deployment
    return _supported(arguments, gate.tenant)


def _common_arguments(settings: TenantSettings) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "organization": settings.organization,
        "project": settings.project,
        "webhook_secret": WEBHOOK_SECRET,
        "max_retries": settings.max_retries,
        "default_headers": _with_placeholders(settings.default_headers, HEADERS),
        "default_query": _with_placeholders(settings.default_query, QUERY),
        "_strict_response_validation": settings.strict_response_validation,
    }
    if settings.admin_api_key is not None:
        arguments["admin_api_key"] = ADMIN_API_KEY
    if settings.websocket_base_url is not None:
        arguments["websocket_base_url"] = settings.websocket_base_url
    if settings.timeout is not None:
        arguments["timeout"] = timeout(settings.timeout)
    return arguments


def _with_placeholders(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {
        name: f"{prefix}{name}" if isinstance(value, SecretReference) else value
        for name, value in values.items()
    }


def _supported(arguments: dict[str, Any], tenant: str) -> dict[str, Any]:
    """Refuse what the installed SDK's constructor does not take, rather than leave it out."""
    for name in arguments.keys() & _NEWER:
        if name not in _constructor():
            raise UnsupportedSettingError(tenant, setting=name, needs=_NEWER[name])
    return arguments


@functools.cache
def _constructor() -> frozenset[str]:
    return frozenset(inspect.signature(OpenAI.__init__).parameters)


_NEWER = {"admin_api_key": "openai>=2.34", "data_residency": "openai>=3.3"}
