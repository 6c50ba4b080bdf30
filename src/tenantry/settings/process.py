"""What a configuration may say about this process: everything but its tenants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field

from tenantry.settings.base import Model, RefreshSettings, Seconds, invalid

_ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9.*-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?/?")


def _origin(value: str) -> str:
    if not _ORIGIN.fullmatch(value):
        message = "is not an origin: write https://HOST, https://HOST:PORT or https://*.DOMAIN"
        raise invalid(message)
    return value


Origin: TypeAlias = Annotated[str, AfterValidator(_origin)]


class AllowSettings(Model):
    """What a tenant may point at; where it is not said, files may point anywhere.

    `origins` are `https://host[:port]`, in the host `*` stands for any one label or a
    part of one. `secrets` maps a
    source to patterns of its locators, in which `{tenant}` is the tenant's name and `*` any text
    without a slash.
    """

    origins: tuple[Origin, ...] | None = None
    secrets: dict[str, tuple[str, ...]] | None = None


class RegistrySettings(Model):
    """How the registry behaves in this process."""

    on_problem: Literal["quarantine", "fail"] = Field(
        default="quarantine", description="Whether a tenant's own mistake stops the process."
    )
    warm: Literal["none", "local", "all"] = Field(
        default="local", description="Whose secrets are fetched at open: of env and file, or all."
    )
    idle_after: Seconds | None = Field(
        default=600.0, description="Evict a tenant's clients after this long without a request."
    )
    max_clients: int = Field(
        default=10_000, ge=1, description="Tenants' endpoints with built clients at most."
    )
    max_sockets: int | None = Field(
        default=None, ge=1, description="Sockets at most: above it, idle ones are closed."
    )
    watch: Seconds | None = Field(
        default=None, description="How often the configuration's files are looked at for changes."
    )
    max_removals: float = Field(
        default=0.1, ge=0, le=1, description="The share of tenants that one reload may remove."
    )


class Settings(Model):
    """A whole configuration, as it is written: layers are merged when the registry opens it."""

    version: Literal[1] = 1
    catalog: Literal["files"] = "files"
    sources: Mapping[str, Mapping[str, Any] | None] = Field(default_factory=dict)
    allow: AllowSettings = AllowSettings()
    refresh: RefreshSettings = RefreshSettings()
    registry: RegistrySettings = RegistrySettings()
    defaults: Mapping[str, Any] = Field(default_factory=dict)
    profiles: Mapping[str, Mapping[str, Any] | None] = Field(default_factory=dict)
    tenants: Mapping[str, Mapping[str, Any] | None] = Field(default_factory=dict)
