"""What a configuration may say about this process: everything but its tenants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field

from tenantry.settings.base import Model, RefreshSettings, invalid

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
