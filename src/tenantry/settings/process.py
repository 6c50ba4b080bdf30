"""What a configuration may say about this process: everything but its tenants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)

from tenantry.settings.base import Model, RefreshSettings, Seconds, invalid
from tenantry.settings.references import References, SecretReference

ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9.*-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?/?")


def _origin(value: str) -> str:
    if not ORIGIN.fullmatch(value):
        message = "is not an origin: write https://HOST, https://HOST:PORT or https://*.DOMAIN"
        raise invalid(message)
    return value


Origin: TypeAlias = Annotated[str, AfterValidator(_origin), WithJsonSchema({"shape": "origin"})]


class AllowSettings(Model):
    """What a tenant's own lines may point at; where it is not said, files may point anywhere."""

    origins: tuple[Origin, ...] | None = Field(
        default=None,
        description="Where requests may go, as https://HOST or https://HOST:PORT; `*` stands for"
        " one label of the host or a part of one. Anywhere unless said.",
    )
    secrets: dict[str, tuple[str, ...]] | None = Field(
        default=None,
        description="Which secrets of a source may be named, by source: patterns in which {tenant}"
        " is the tenant's name and `*` any text without a slash. Any unless the source is listed.",
    )


def _read_with_references(
    value: object, check: ValidatorFunctionWrapHandler, info: ValidationInfo
) -> object:
    # In code settings are made before anybody knows which sources there will be.
    return check(value) if isinstance(info.context, References) else value


FingerprintKey: TypeAlias = Annotated[
    SecretReference | None,
    WrapValidator(_read_with_references),
    WithJsonSchema({"shape": "secret"}),
]


class RegistrySettings(Model):
    """How the registry behaves in this process."""

    on_problem: Literal["quarantine", "fail"] = Field(
        default="quarantine",
        description="Whether a tenant's own mistake keeps that tenant from being served"
        " (quarantine, the default) or stops the process (fail).",
    )
    warm: Literal["none", "local", "sources", "all"] = Field(
        default="local",
        description="Which secrets are fetched when the registry opens: those of variables and"
        " files (local, the default), these and one of each declared source (sources), all of"
        " them, or none.",
    )
    idle_after: Seconds | None = Field(
        default=600.0,
        description="How long a tenant's clients are kept without a request; 10 minutes unless said"
        " otherwise, null is for ever.",
    )
    max_clients: int = Field(
        default=10_000,
        ge=1,
        description="How many endpoints of tenants may have clients at once; 10000 unless said"
        " otherwise.",
    )
    max_sockets: int | None = Field(
        default=None,
        ge=1,
        description="How many sockets may be open before idle ones are closed; half of what the"
        " system allows the process unless said otherwise.",
    )
    watch: Seconds | None = Field(
        default=None,
        description="How often the configuration's files are looked at for changes; never unless"
        " said.",
    )
    max_catalog_stale: Seconds | None = Field(
        default=None,
        description="How long the tenants of an engine that does not answer are served as they were"
        " last read; for ever unless said.",
    )
    max_removals: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="The share of tenants that one reload may remove, from 0 to 1; a tenth unless"
        " said otherwise.",
    )
    control: Path | None = Field(
        default=None,
        description="A directory in which each process serves a socket for"
        " `tenantry keys --attach`; it is made where it is not there, and has to belong to this"
        " user alone. None unless said.",
    )
    fingerprint_key: FingerprintKey = Field(
        default=None,
        description="The secret that fingerprints are made with, so that they compare across"
        " processes; random for each process unless said.",
    )


def _as_it_is(value: Mapping[str, Any], check: ValidatorFunctionWrapHandler) -> Mapping[str, Any]:
    # pydantic would copy it to a dict, which does not know where its values were said.
    checked: Mapping[str, Any] = check(value)
    return checked if type(value) is dict else value


Entries: TypeAlias = Annotated[Mapping[str, Mapping[str, Any] | None], WrapValidator(_as_it_is)]
Layer: TypeAlias = Annotated[Mapping[str, Any], WrapValidator(_as_it_is)]


def _catalog(value: object) -> object:
    if value == "files" or isinstance(value, Mapping):
        return value
    message = "has to be 'files', or a mapping with an engine"
    raise invalid(message, hint="write {sqlite: {path: FILE}} or {postgres: {dsn: {env: NAME}}}")


# Read into `CatalogSettings` when the registry opens it: a secret reference needs to know sources.
Catalog: TypeAlias = Annotated[Literal["files"] | Mapping[str, Any], PlainValidator(_catalog)]


class Settings(Model):
    """A whole configuration, as it is written: layers are merged when the registry opens it."""

    version: Literal[1] = Field(
        default=1, description="The version of this format; 1, and may be left out."
    )
    catalog: Catalog = Field(
        default="files",
        repr=False,  # as it is written: there may be a secret in it
        description="Where the tenants stand: in this configuration (files), or in an engine that"
        " this process reads them from as they are needed.",
    )
    sources: Entries = Field(
        default_factory=dict,
        repr=False,  # as it is written: there may be a secret in it
        description="Where secrets come from and how this process logs in there, by the name that"
        " references use. A source that bears its kind's name needs no `type`.",
    )
    allow: AllowSettings = Field(
        default=AllowSettings(), description="What a tenant's own lines may point at."
    )
    refresh: RefreshSettings = Field(
        default=RefreshSettings(), description="How often secrets are fetched again."
    )
    registry: RegistrySettings = Field(
        default=RegistrySettings(),
        description="How the registry behaves: its limits, and what a mistake does.",
    )
    defaults: Layer = Field(
        default_factory=dict,
        repr=False,
        description="What every tenant says unless it says otherwise.",
    )
    profiles: Entries = Field(
        default_factory=dict, repr=False, description="What tenants say by naming it, by name."
    )
    tenants: Entries = Field(
        default_factory=dict,
        repr=False,
        description="The tenants by name; one that says nothing has everything from `defaults`.",
    )
