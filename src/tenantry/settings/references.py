"""Secret references: what a configuration says where a secret belongs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, ClassVar, Protocol, TypeAlias

from pydantic import (
    Field,
    GetCoreSchemaHandler,
    PlainValidator,
    SecretStr,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from tenantry.settings.base import Model, RefreshSettings, invalid


class ReferenceOptions(Model):
    """What a secret reference says inside; each kind of source adds its own keys.

    `main` names the key that a bare scalar stands for: `{env: NAME}` is `{env: {name: NAME}}`.
    """

    main: ClassVar[str]

    field: str | None = Field(
        default=None, description="Which field of the document is the secret."
    )
    refresh: RefreshSettings | None = Field(
        default=None, description="Refresh limits for this document."
    )

    @property
    def locator(self) -> tuple[object, ...]:
        """What tells one document of a source from another; hashable."""
        return tuple(
            getattr(self, name) for name in type(self).model_fields if name not in _NOT_LOCATING
        )

    def __str__(self) -> str:
        """Say which document this is, without a secret."""
        return str(getattr(self, self.main))

    def nested(self) -> tuple[SecretReference, ...]:
        """Return the references that this one is made of."""
        return ()


_NOT_LOCATING = frozenset({"field", "refresh"})


class SourceSettings(Model):
    """How this process uses one source; each kind of source adds its own keys."""

    def references(self) -> tuple[SecretReference, ...]:
        """Return the secrets that the source itself needs."""
        return ()


class Kind(Protocol):
    """A kind of source, as far as a configuration has to know it."""

    @property
    def name(self) -> str: ...
    @property
    def settings(self) -> type[SourceSettings] | None:
        """The model of its entry under `sources`; None where there is nothing to declare."""

    @property
    def reference(self) -> type[ReferenceOptions]: ...


@dataclass(frozen=True, slots=True)
class References:
    """What secret references may point at; the context in which settings are validated."""

    kinds: Mapping[str, Kind]  # every kind by its own name
    declared: Mapping[str, str] = field(default_factory=dict[str, str])  # source name -> kind name

    def kind_of(self, source: str) -> Kind | None:
        if source in self.declared:
            return self.kinds.get(self.declared[source])
        kind = self.kinds.get(source)
        return kind if kind is not None and kind.settings is None else None

    def names(self) -> list[str]:
        built_in = [name for name, kind in self.kinds.items() if kind.settings is None]
        return sorted({*built_in, *self.declared})


class NestedProblems(ValueError):  # noqa: N818  # a carrier, never shown to anyone
    """What is wrong inside a secret reference; loading unfolds it into problems of their own."""

    def __init__(
        self, within: str, cause: ValidationError, model: type[ReferenceOptions] = ReferenceOptions
    ) -> None:
        super().__init__()
        self.within = within
        self.cause = cause
        self.model = model


@dataclass(frozen=True, slots=True)
class SecretReference:
    """A pointer to a secret: which source, and what to ask of it. Never the secret itself.

    `setting` is the key at which the reference stands: the field that is read where the reference
    names none.
    """

    source: str
    options: ReferenceOptions
    setting: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.source} {self.options}"

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(_parse_reference)


def _parse_reference(value: object, info: ValidationInfo) -> SecretReference:
    setting = info.field_name or ""
    if isinstance(value, SecretReference):
        return value if value.setting else replace(value, setting=setting)
    references = info.context
    if not isinstance(references, References):
        message = "a SecretReference is read with References as the validation context"
        raise TypeError(message)
    source, inside = _source_of(value, references)
    kind = references.kind_of(source)
    if kind is None:
        raise _unknown_source(source, inside, references)
    if not isinstance(inside, Mapping):
        inside = {kind.reference.main: inside}
    try:
        options = kind.reference.model_validate(inside, context=references)
    except ValidationError as error:
        raise NestedProblems(source, error, kind.reference) from None
    return SecretReference(source, options, setting)


def _source_of(value: object, references: References) -> tuple[str, object]:
    if isinstance(value, SecretStr):
        return "literal", value
    if callable(value):
        return "python", value
    if not isinstance(value, Mapping):
        message = (
            "is a secret reference, not a plain value (not shown): write {env: NAME},"
            " {file: PATH} or {SOURCE: PATH}"
        )
        raise invalid(message)
    if len(value) != 1:
        message = "is a secret reference: a mapping with exactly one key, one of {names}"
        raise invalid(message, names=", ".join(references.names()))
    [(source, inside)] = value.items()
    return str(source), inside


def _unknown_source(source: str, inside: object, references: References) -> PydanticCustomError:
    if source in references.declared:
        message = "source '{source}' is declared, but not with a known `type`"
        return invalid(message, source=source)
    if source in references.kinds:
        message = "source '{source}' is not declared: add it under the top-level key `sources`"
        return invalid(message, source=source)
    if inside is None:
        source = "(not shown)"  # `{sk-...}` is a mapping too, of a secret to nothing
    message = "unknown source {source}: declared or built in are {names}"
    return invalid(message, source=source, names=", ".join(references.names()))


def _plain_or_reference(value: object, info: ValidationInfo) -> object:
    if isinstance(value, (Mapping, SecretReference, SecretStr)) or callable(value):
        # In a mapping of many, the mapping's name says nothing about a document's field.
        return replace(_parse_reference(value, info), setting="")
    if not isinstance(value, (bool, int, float, str)):
        message = "is a text, a number or a secret reference"
        raise invalid(message)
    return value


def _text_or_reference(value: object, info: ValidationInfo) -> object:
    plain = _plain_or_reference(value, info)
    if isinstance(plain, bool):
        return str(plain).lower()
    return plain if isinstance(plain, SecretReference) else str(plain)


def _path_or_reference(value: object, info: ValidationInfo) -> object:
    if isinstance(value, (str, Path)):
        return Path(value)
    return _parse_reference(value, info)


Plain: TypeAlias = bool | int | float | str
TextOrSecret: TypeAlias = Annotated[str | SecretReference, PlainValidator(_text_or_reference)]
PlainOrSecret: TypeAlias = Annotated[Plain | SecretReference, PlainValidator(_plain_or_reference)]
PathOrSecret: TypeAlias = Annotated[Path | SecretReference, PlainValidator(_path_or_reference)]
