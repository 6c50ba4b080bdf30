"""What a configuration may say about one tenant."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tenantry.settings.base import HttpUrl, Model, RefreshSettings, Seconds, WebsocketUrl, invalid
from tenantry.settings.references import (
    PathOrSecret,
    PlainOrSecret,
    SecretReference,
    TextOrSecret,
)

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


class TimeoutSettings(Model):
    """Time limits of a request in seconds; None is no limit, what is left out is the SDK's."""

    connect: Seconds | None = None
    read: Seconds | None = None
    write: Seconds | None = None
    pool: Seconds | None = None


class PoolSettings(Model):
    """The tenant's connection pool; what is left out is the SDK's."""

    max_connections: int | None = Field(default=None, ge=1, description="Open sockets at most.")
    max_keepalive_connections: int | None = Field(
        default=None, ge=0, description="Idle sockets at most."
    )
    keepalive_expiry: Seconds | None = Field(
        default=None, description="How long a socket may be idle."
    )


class TlsSettings(Model):
    """What the tenant's connections trust. Tenants with equal settings share one SSL context."""

    ca: Path | None = Field(
        default=None,
        description="PEM file, or directory, of the certificate authorities to trust.",
    )
    certificate: PathOrSecret | None = Field(
        default=None, description="The client's own certificate and its chain, as PEM: mTLS."
    )
    key: SecretReference | None = Field(
        default=None, description="Its private key as PEM; left out where `certificate` holds it."
    )
    verify: bool = Field(default=True, description="false trusts anybody, and is warned about.")


class ProxySettings(Model):
    """The proxy that the tenant's connections go through; a bare URL stands for `url`."""

    url: HttpUrl = Field(description="http://HOST:PORT or https://HOST:PORT, without a password.")
    username: str | None = None
    password: SecretReference | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare_url(cls, said: object) -> object:
        return {"url": said} if isinstance(said, str) else said


class WorkloadIdentitySettings(Model):
    """OpenAI's own workload identity: a token of your platform is exchanged for one of OpenAI."""

    identity_provider_id: str
    service_account_id: str
    subject_token: SecretReference
    token_type: Literal["jwt", "id"] = "jwt"  # noqa: S105  # a kind of token
    token_exchange_url: HttpUrl | None = None
    client_id: str | None = Field(None, description="Demanded by early versions of the SDK only.")


def _provider(value: object) -> object:
    if value in ("bedrock", "vertex"):
        message = (
            "'{provider}' is not supported: the SDK's own `provider=` signs requests by itself,"
            " past the place where tenantry seals them; write openai or azure"
        )
        raise invalid(message, provider=value)
    return value


def _sendable(headers: dict[str, str | SecretReference]) -> dict[str, str | SecretReference]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            message = "'{name}' is not a name that a header can have"
            raise invalid(message, name=name)
        if isinstance(value, SecretReference):
            continue
        if name.casefold() in CREDENTIAL_HEADERS:
            message = "header {name} carries a credential: write a secret reference"
            raise invalid(message, name=name)
        if not _HEADER_VALUE.fullmatch(value):
            message = "the value of header {name} has a character no header can have (not shown)"
            raise invalid(message, name=name)
    return headers


Provider: TypeAlias = Annotated[Literal["openai", "azure"], BeforeValidator(_provider)]
Headers: TypeAlias = Annotated[dict[str, TextOrSecret], AfterValidator(_sendable)]


class TenantSettings(Model):
    """Everything that one endpoint of one tenant says, after layers were merged.

    The keys bear the names of the SDK's constructor parameters. What was not said is not in
    `model_fields_set`, and the SDK's default applies.
    """

    # who
    provider: Provider = "openai"
    enabled: bool = True
    labels: dict[str, str] = Field(default_factory=dict)
    rotated_at: dt.datetime | None = None
    inherit_environment: bool = False

    # credentials
    api_key: SecretReference | None = None
    azure_ad_token: SecretReference | None = None
    azure_ad_token_provider: SecretReference | None = None
    workload_identity: WorkloadIdentitySettings | None = None
    admin_api_key: SecretReference | None = None
    webhook_secret: SecretReference | None = None

    # where to
    base_url: HttpUrl | None = None
    azure_endpoint: HttpUrl | None = None
    azure_deployment: str | None = None
    api_version: str | None = None
    data_residency: str | None = None
    websocket_base_url: WebsocketUrl | None = None

    # what goes along
    organization: str | None = None
    project: str | None = None
    default_headers: Headers = Field(default_factory=dict)
    default_query: dict[str, PlainOrSecret] = Field(default_factory=dict)

    # how
    timeout: TimeoutSettings | None = None
    max_retries: int = Field(default=2, ge=0)
    strict_response_validation: bool = False
    pool: PoolSettings = PoolSettings()
    proxy: ProxySettings | None = None
    tls: TlsSettings = TlsSettings()
    http: Literal["auto", "httpx", "aiohttp"] = "auto"
    refresh: RefreshSettings = RefreshSettings()

    @model_validator(mode="after")
    def _whole(self) -> TenantSettings:
        if self.credential_key() is None and self.admin_api_key is None:
            message = "no credential: say one of {keys}"
            raise invalid(message, keys=", ".join(_credential_keys(self.provider)))
        if self.provider == "azure":
            self._check_azure()
        return self

    def _check_azure(self) -> None:
        if self.azure_endpoint is None and self.base_url is None:
            message = "an azure tenant needs azure_endpoint (or base_url)"
            raise invalid(message)
        if self.api_version is None:
            message = "an azure tenant needs api_version, such as '2024-10-21'"
            raise invalid(message)

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
