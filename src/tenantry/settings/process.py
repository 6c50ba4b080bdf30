"""What a configuration may say about this process: everything but its tenants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from tenantry.settings.base import Model, RefreshSettings


class AllowSettings(Model):
    """What a tenant may point at; where it is not said, files may point anywhere.

    `origins` are `https://host[:port]`, a leading `*.` stands for any one label. `secrets` maps a
    source to patterns of its locators, in which `{tenant}` is the tenant's name and `*` any text
    without a slash.
    """

    origins: tuple[str, ...] | None = None
    secrets: dict[str, tuple[str, ...]] | None = None


class RegistrySettings(Model):
    """How the registry behaves in this process."""

    on_problem: Literal["quarantine", "fail"] = Field(
        "quarantine", description="Whether a tenant's own mistake stops the process."
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
