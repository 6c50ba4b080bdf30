"""What pydantic found wrong, in our words: what it is, and what to do about it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from tenantry.loading.values import AS_MAPPING, Sited
from tenantry.settings import Settings, TenantSettings
from tenantry.settings.base import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

# Facts in braces are those of pydantic's error.
_REASONS = {
    "missing": "is missing",
    "bool_type": "is not true or false",
    "bool_parsing": "is not true or false",
    "int_type": "is not a whole number",
    "int_parsing": "is not a whole number",
    "int_from_float": "is not a whole number",
    "float_type": "is not a number",
    "float_parsing": "is not a number",
    "greater_than_equal": "has to be at least {ge:g}",
    "less_than_equal": "has to be at most {le:g}",
    "dict_type": "is not a mapping",
    "mapping_type": "is not a mapping",
    "model_type": "is not a mapping",
    "tuple_type": "is not a list",
    "path_type": "is not a path",
    "literal_error": "has to be {expected}",
    "too_short": "is empty",
    "string_too_short": "is shorter than {min_length} characters",
    "string_too_long": "is longer than {max_length} characters",
    "string_pattern_mismatch": "is not spelled as it has to be",
}
_SHAPES = {
    "dict_type": AS_MAPPING,
    "tuple_type": "put it in brackets: [..., ...]",
    "datetime_type": "write it as 2026-01-31T12:00:00Z",
}
# Where the description of the key says what belongs there.
_DESCRIBED = {"missing", "string_too_short", "string_too_long", "string_pattern_mismatch"}
_MANY_KEYS = 12


def reason_of(item: ErrorDetails, said: object) -> str:
    """Say what is wrong with what was said; it is not quoted."""
    kind, facts = item["type"], item.get("ctx", {})
    if kind == "string_type":
        return _no_text(said)
    if kind == "string_too_short" and said == "":
        return "is empty"
    if kind.startswith("datetime_"):
        return "is not a time"
    return _REASONS[kind].format(**facts) if kind in _REASONS else item["msg"]


def _no_text(said: object) -> str:
    if said is None:
        return "is empty"
    if isinstance(said, Sited) and len(said) == 1:
        return "is not a text: no secret reference can stand here"
    return "is not a text" if isinstance(said, (Sited, list)) else "is not a text: quote it"


def hint_of(item: ErrorDetails, said: object, model: type[BaseModel]) -> str:
    """Say what to do about an error that a model found, or nothing."""
    kind, facts = item["type"], item.get("ctx", {})
    if "meant" in facts:
        return nearest(*facts["meant"]) or str(facts.get("hint", ""))
    if kind in _DESCRIBED and said != "":
        field = _field_at(model, item["loc"])
        return (field.description or "") if field is not None else ""
    if kind == "model_type":
        return list_of_keys(keys_at(item["loc"], model))
    if kind == "literal_error":
        return nearest(str(said), re.findall("'([^']*)'", facts["expected"]))
    shape = "datetime_type" if kind.startswith("datetime_") else kind
    return _SHAPES.get(shape, str(facts.get("hint", "")))


def hint_for_unknown(key: str, location: tuple[str | int, ...], model: type[BaseModel]) -> str:
    """Say which key was likely meant at a place of a model, or where it belongs, or nothing."""
    inside = _model_at(model, location)
    if inside is None:
        return ""
    keys = _keys(inside)
    return nearest(key, keys, likeness=0.9) or _elsewhere(key, inside) or nearest(key, keys)


def keys_at(location: tuple[str | int, ...], model: type[BaseModel]) -> list[str]:
    """Return the keys of a place within a model, as a configuration may say them."""
    inside = _model_at(model, location)
    return [] if inside is None else _keys(inside)


def list_of_keys(keys: list[str]) -> str:
    """Name the keys that there are, unless they are many."""
    return f"its keys are {', '.join(keys)}" if 0 < len(keys) <= _MANY_KEYS else ""


def _keys(model: type[BaseModel]) -> list[str]:
    more = ("profile", "endpoints") if model is TenantSettings else ()
    return [*model.model_fields, *more]


def _elsewhere(key: str, model: type[BaseModel]) -> str:
    """Say where a key belongs that stands one level too high or too low."""
    if model is Settings and key in _keys(TenantSettings):
        return "tenants say it: put it under `defaults`, or under a tenant"
    if model is TenantSettings and key in Settings.model_fields:
        return "it stands at the top of the configuration"
    for name, field in model.model_fields.items():
        inner = _model_of(field)
        if inner is not None and key in inner.model_fields:
            return f"it stands inside `{name}`"
    return ""


def _field_at(model: type[BaseModel], location: tuple[str | int, ...]) -> FieldInfo | None:
    parent = _model_at(model, location[:-1])
    return None if parent is None else parent.model_fields.get(str(location[-1]))


def _model_at(model: type[BaseModel], location: tuple[str | int, ...]) -> type[BaseModel] | None:
    """Return the model of a place within a model, as far as annotations tell."""
    found: type[BaseModel] | None = model
    for step in location:
        field = None if found is None else found.model_fields.get(str(step))
        found = None if field is None else _model_of(field)
    return found


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    choices: Iterable[Any] = getattr(field.annotation, "__args__", (field.annotation,))
    models = (each for each in choices if isinstance(each, type) and issubclass(each, BaseModel))
    return next(models, None)
