"""Secret references: what a configuration says where a secret belongs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, TypeAlias

from pydantic import (
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    SecretStr,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from tenantry.settings.base import Model, RefreshSettings, invalid


class ReferenceOptions(Model):
    """What a secret reference says inside; each kind of source adds its own keys.

    `main` names the key that a bare scalar stands for: `{env: NAME}` is `{env: {name: NAME}}`.
    """

    main: ClassVar[str]

    field: str | None = Field(
        default=None,
        description="Which field of the document is the secret; the one that is called like the"
        " setting, else the only one, unless said.",
    )
    refresh: RefreshSettings | None = Field(
        default=None,
        description="Refresh limits of this document's own; the tenant's unless said.",
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
    """Several things that are wrong within one value; loading unfolds them into problems.

    `within` is the key of the value that they are found in, "" for the value itself.
    """

    def __init__(self, within: str, cause: ValidationError, model: type[Model] = Model) -> None:
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

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"shape": "secret"}  # which `schema.py` fills in


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
        message = "wants a secret reference, not a plain value (not shown)"
        raise invalid(message, hint=_WRITE)
    if len(value) != 1:
        message = "is no secret reference: that is a mapping with one key, its source"
        raise invalid(message, hint=_with_one_key(value, references))
    [(source, inside)] = value.items()
    return str(source), inside


_WRITE = "write {env: NAME}, {file: PATH} or {SOURCE: PATH}"


def _with_one_key(value: Mapping[object, object], references: References) -> str:
    """Return the reference that was likely meant by a mapping of several keys."""
    kinds = [(str(key), references.kind_of(str(key))) for key in value]
    for source, kind in kinds:
        known = () if kind is None else kind.reference.model_fields
        inside = [str(key) for key in value if key in known]
        if kind is not None and len(inside) + 1 == len(value):
            keys = ", ".join(f"{key}: ..." for key in [kind.reference.main, *inside])
            return f"write the rest inside: {{{source}: {{{keys}}}}}"
    return _WRITE


def _unknown_source(source: str, inside: object, references: References) -> PydanticCustomError:
    if source in references.declared:
        message = "source '{source}' is declared, but not with a known `type`"
        return invalid(message, source=source)
    if source in references.kinds:
        message = "source '{source}' is not declared: add it under the top-level key `sources`"
        return invalid(message, source=source)
    names = references.names()
    hint = f"declared or built in are {', '.join(names)}"
    if inside is None:  # `{sk-...}` is a mapping too, of a secret to nothing
        message = "names an unknown source (not shown)"
        return invalid(message, hint=hint)
    message = "unknown source '{source}'"
    return invalid(message, source=source, hint=hint, meant=(source, names))


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
TextOrSecret: TypeAlias = Annotated[
    str | SecretReference,
    PlainValidator(_text_or_reference),
    WithJsonSchema({"shape": "plain_or_secret"}),
]
PlainOrSecret: TypeAlias = Annotated[
    Plain | SecretReference,
    PlainValidator(_plain_or_reference),
    WithJsonSchema({"shape": "plain_or_secret"}),
]
PathOrSecret: TypeAlias = Annotated[
    Path | SecretReference,
    PlainValidator(_path_or_reference),
    WithJsonSchema({"shape": "path_or_secret"}),
]
