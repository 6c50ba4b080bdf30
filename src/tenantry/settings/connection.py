"""What a configuration may say about connections: limits, trust and proxies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from tenantry.settings.base import Model, Seconds, http_url, invalid
from tenantry.settings.references import PathOrSecret, SecretReference


class TimeoutSettings(Model):
    """Time limits of a request in seconds; None is no limit, what is left out is the SDK's."""

    connect: Seconds | None = Field(
        default=None, description="How long connecting may take; null is no limit."
    )
    read: Seconds | None = Field(
        default=None, description="How long to wait for the next bytes; null is no limit."
    )
    write: Seconds | None = Field(
        default=None, description="How long sending the next bytes may take; null is no limit."
    )
    pool: Seconds | None = Field(
        default=None,
        description="How long to wait for a free connection of the pool; null is no limit.",
    )


class PoolSettings(Model):
    """The tenant's connection pool; what is left out is the SDK's."""

    max_connections: int | None = Field(
        default=None,
        ge=1,
        description="How many connections may be open at once; the SDK's number unless said.",
    )
    max_keepalive_connections: int | None = Field(
        default=None,
        ge=0,
        description="How many of them may be idle; the SDK's number unless said.",
    )
    keepalive_expiry: Seconds | None = Field(
        default=None,
        description="How long a connection may be idle before it is closed; the SDK's time unless"
        " said.",
    )


class TlsSettings(Model):
    """What connections trust. Tenants with equal settings share one SSL context."""

    ca: Path | None = Field(
        default=None,
        description="A PEM file, or a directory, of the certificate authorities to trust; those"
        " that the http library trusts unless said.",
    )
    certificate: PathOrSecret | None = Field(
        default=None,
        description="The client's own certificate and its chain as PEM, a path or a secret"
        " reference: mTLS. None unless said.",
    )
    key: SecretReference | None = Field(
        default=None,
        description="The private key of `certificate` as PEM, a secret reference; left out where"
        " the certificate holds it.",
    )
    verify: bool = Field(
        default=True, description="false trusts anybody, and is warned about; true unless said."
    )


def _proxy_url(value: object) -> object:
    if isinstance(value, str) and "@" in value:
        message = "holds a user name or password (not shown)"
        raise invalid(message, hint="write {url: URL, username: NAME, password: {env: NAME}}")
    return http_url(value)


class ProxySettings(Model):
    """The proxy that the tenant's connections go through; a bare URL stands for `url`."""

    url: Annotated[str, BeforeValidator(_proxy_url), WithJsonSchema({"shape": "http_url"})] = Field(
        description="The proxy's address, http://HOST:PORT or https://HOST:PORT, without a"
        " password."
    )
    username: str | None = Field(
        default=None, description="The name to log in to the proxy with; no login unless said."
    )
    password: SecretReference | None = Field(
        default=None, description="The password that goes with it, a secret reference."
    )

    @model_validator(mode="before")
    @classmethod
    def _bare_url(cls, said: object) -> object:
        return said if isinstance(said, (Mapping, ProxySettings)) else {"url": said}
