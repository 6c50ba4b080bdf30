"""What a configuration may say about one tenant."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from tenantry.settings.base import (
    HttpUrl,
    Model,
    RefreshSettings,
    WebsocketUrl,
    invalid,
)
from tenantry.settings.connection import (
    PoolSettings,
    ProxySettings,
    TimeoutSettings,
    TlsSettings,
)
from tenantry.settings.references import (
    NestedProblems,
    PlainOrSecret,
    SecretReference,
    TextOrSecret,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

TIMEOUT_PARTS = ("connect", "read", "write", "pool")

TENANT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

CREDENTIAL_KEYS = ("api_key", "azure_ad_token", "azure_ad_token_provider", "workload_identity")
ENDPOINT_KEYS = ("base_url", "azure_endpoint", "data_residency")
SLOTS = (CREDENTIAL_KEYS, ENDPOINT_KEYS)

AZURE_ONLY = frozenset(
    {
        "api_version",
        "azure_ad_token",
        "azure_ad_token_provider",
        "azure_deployment",
        "azure_endpoint",
    }
)
OPENAI_ONLY = frozenset({"data_residency", "workload_identity"})
# Headers that carry credentials: what stands in them has to be a secret reference.
CREDENTIAL_HEADERS = frozenset({"authorization", "api-key", "proxy-authorization"})

# RFC 9110, sections 5.1 and 5.5.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")


class WorkloadIdentitySettings(Model):
    """OpenAI's own workload identity: a token of your platform is exchanged for one of OpenAI."""

    identity_provider_id: str = Field(
        description="The id of the identity provider at OpenAI, such as idp_123."
    )
    service_account_id: str = Field(
        description="The id of the service account at OpenAI, such as svc_456."
    )
    subject_token: SecretReference = Field(
        description="Your platform's token, a secret reference such as {file: /run/secrets/token}."
    )
    token_type: Literal["jwt", "id"] = Field(
        default="jwt", description="What kind of token that is; jwt unless said otherwise."
    )
    token_exchange_url: HttpUrl | None = Field(
        default=None, description="Where tokens are exchanged; OpenAI's own address unless said."
    )
    client_id: str | None = Field(
        default=None, description="Demanded by early versions of openai 2 only."
    )


def _provider(value: object) -> object:
    if value in ("bedrock", "vertex"):
        message = (
            "'{provider}' is not supported: the SDK's own `provider=` signs requests by itself,"
            " past the place where tenantry seals them; write openai or azure"
        )
        raise invalid(message, provider=value)
    return value


def _sendable(headers: dict[str, str | SecretReference]) -> dict[str, str | SecretReference]:
    faults = [(name, fault) for name, value in headers.items() for fault in _faults(name, value)]
    if faults:
        raise _all_of(faults)
    return headers


def _faults(name: str, value: str | SecretReference) -> Iterable[PydanticCustomError]:
    """Find why a header cannot be sent as it is."""
    if not _HEADER_NAME.fullmatch(name):
        message = "is not a name that a header can have"
        yield invalid(message, hint="a name has letters, digits and - in it, and no spaces")
    if isinstance(value, SecretReference):
        return
    if name.casefold() in CREDENTIAL_HEADERS:
        message = "is a header that carries a credential: it wants a secret reference"
        yield invalid(message, hint="write {env: NAME}, {file: PATH} or {SOURCE: PATH}")
    elif not _HEADER_VALUE.fullmatch(value):
        message = "has a value with a character that no header can have (not shown)"
        yield invalid(message, hint="only the visible characters of ASCII, spaces and tabs do")


def _all_of(faults: Iterable[tuple[str, PydanticCustomError]]) -> NestedProblems:
    """Return all faults as one error, each with the key that it stands at, "" for none."""
    details = [
        InitErrorDetails(type=fault, loc=(key,) if key else (), input=None) for key, fault in faults
    ]
    return NestedProblems("", ValidationError.from_exception_data("several", details))


Provider: TypeAlias = Annotated[Literal["openai", "azure"], BeforeValidator(_provider)]
Headers: TypeAlias = Annotated[dict[str, TextOrSecret], AfterValidator(_sendable)]


class TenantSettings(Model):
    """Everything that one endpoint of one tenant says, after layers were merged.

    The keys bear the names of the SDK's constructor parameters. What was not said is not in
    `model_fields_set`, and the SDK's default applies.
    """

    # who
    provider: Provider = Field(
        default="openai",
        description="Whose API the tenant speaks to; openai unless said otherwise.",
    )
    enabled: bool = Field(
        default=True, description="false refuses the tenant's requests; true unless said."
    )
    labels: dict[str, str] = Field(
        default_factory=dict,
        description="Texts of your own, by name; {labels.NAME} puts one into a reference or URL.",
    )
    rotated_at: dt.datetime | None = Field(
        default=None,
        description="When its secrets were changed, such as 2026-01-31T12:00:00Z: what was fetched"
        " before is not trusted any more.",
    )
    inherit_environment: bool = Field(
        default=False,
        description="true lets the SDK's own variables, such as OPENAI_API_KEY, speak for this"
        " tenant; false unless said.",
    )

    # credentials
    api_key: SecretReference | None = Field(
        default=None, description="The API key, a secret reference."
    )
    azure_ad_token: SecretReference | None = Field(
        default=None, description="A token of Entra ID, a secret reference; Azure only."
    )
    azure_ad_token_provider: SecretReference | None = Field(
        default=None, description="The same as azure_ad_token, by the SDK's other name for it."
    )
    workload_identity: WorkloadIdentitySettings | None = Field(
        default=None,
        description="OpenAI's own workload identity: a token of your platform is exchanged for one"
        " of OpenAI.",
    )
    admin_api_key: SecretReference | None = Field(
        default=None,
        description="The key that administration endpoints are sent, a secret reference; openai"
        " 2.34 and newer.",
    )
    webhook_secret: SecretReference | None = Field(
        default=None,
        description="What client.webhooks.unwrap checks signatures with, a secret reference.",
    )

    # where to
    base_url: HttpUrl | None = Field(
        default=None, description="Where requests go; OpenAI's public address unless said."
    )
    azure_endpoint: HttpUrl | None = Field(
        default=None,
        description="Where an Azure resource is, such as https://contoso.openai.azure.com.",
    )
    azure_deployment: str | None = Field(
        default=None,
        description="The deployment that every request goes to; `model` names it unless said.",
    )
    api_version: str | None = Field(
        default=None, description="The version of Azure's interface, such as 2024-10-21."
    )
    data_residency: str | None = Field(
        default=None,
        description="A region of OpenAI in which requests stay, such as eu; openai 3.3 and newer.",
    )
    websocket_base_url: WebsocketUrl | None = Field(
        default=None, description="Where WebSockets go; as base_url says unless said."
    )

    # what goes along
    organization: str | None = Field(
        default=None, description="OpenAI's organization id, sent as a header."
    )
    project: str | None = Field(default=None, description="OpenAI's project id, sent as a header.")
    default_headers: Headers = Field(
        default_factory=dict,
        description="Headers that go with every request, by name: texts or secret references.",
    )
    default_query: dict[str, PlainOrSecret] = Field(
        default_factory=dict,
        description="Query parameters that go with every request, by name: texts, numbers or"
        " secret references.",
    )

    # how
    timeout: TimeoutSettings | None = Field(
        default=None,
        description="Time limits of a request: one for everything, or one for each part; null is"
        " no limit, the SDK's limits hold unless said.",
    )
    max_retries: int = Field(
        default=2, ge=0, description="How often the SDK tries again; 2 times unless said otherwise."
    )
    strict_response_validation: bool = Field(
        default=False,
        description="Whether a reply that does not fit its model is an error; false unless said.",
    )
    pool: PoolSettings = Field(
        default=PoolSettings(), description="The tenant's connection pool; the SDK's unless said."
    )
    proxy: ProxySettings | None = Field(
        default=None,
        description="The proxy that connections go through, or its bare URL; none unless said.",
    )
    tls: TlsSettings = Field(
        default=TlsSettings(),
        description="What connections trust, and the client's own certificate.",
    )
    http: Literal["auto", "httpx", "aiohttp"] = Field(
        default="auto",
        description="Which library opens the connections of async clients; auto, the one that the"
        " SDK uses, unless said otherwise.",
    )
    refresh: RefreshSettings = Field(
        default=RefreshSettings(),
        description="How often this tenant's secrets are fetched again; as the top level says"
        " unless said otherwise.",
    )

    @model_validator(mode="after")
    def _whole(self) -> TenantSettings:
        faults = list(self._gaps())
        if len(faults) == 1:
            raise faults[0]
        if faults:
            raise _all_of(("", fault) for fault in faults)
        return self

    def _gaps(self) -> Iterable[PydanticCustomError]:
        """Find what is missing before a client could be made."""
        if self.credential_key() is None and self.admin_api_key is None:
            message = "no credential: say one of {keys}"
            yield invalid(message, keys=", ".join(_credential_keys(self.provider)))
        if self.tls.key is not None and self.tls.certificate is None:
            message = "tls.key needs tls.certificate, whose key it is"
            yield invalid(message)
        if self.provider != "azure":
            return
        if self.azure_endpoint is None and self.base_url is None:
            message = "an azure tenant needs azure_endpoint (or base_url)"
            yield invalid(message, hint="such as azure_endpoint: https://contoso.openai.azure.com")
        if self.api_version is None:
            message = "an azure tenant needs api_version"
            yield invalid(message, hint='such as api_version: "2024-10-21"')

    def credential_key(self) -> str | None:
        """Return which of the credential keys this tenant says, if any."""
        return next((key for key in CREDENTIAL_KEYS if getattr(self, key) is not None), None)

    def references(self) -> tuple[tuple[str, SecretReference], ...]:
        """Return every secret that the tenant needs, with the path of the key that says it."""
        named = [(key, getattr(self, key)) for key in _REFERENCE_KEYS]
        if self.workload_identity is not None:
            named.append(("workload_identity.subject_token", self.workload_identity.subject_token))
        for key in ("default_headers", "default_query"):
            named += [(f"{key}.{name}", value) for name, value in getattr(self, key).items()]
        named += [(f"tls.{key}", getattr(self.tls, key)) for key in ("certificate", "key")]
        if self.proxy is not None:
            named.append(("proxy.password", self.proxy.password))
        return tuple((path, value) for path, value in named if isinstance(value, SecretReference))


_REFERENCE_KEYS = (
    "api_key",
    "azure_ad_token",
    "azure_ad_token_provider",
    "admin_api_key",
    "webhook_secret",
)


def _credential_keys(provider: str) -> tuple[str, ...]:
    if provider == "azure":
        return ("api_key", "azure_ad_token", "azure_ad_token_provider")
    return ("api_key", "workload_identity", "admin_api_key")
