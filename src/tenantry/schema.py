"""What a configuration may say, as a JSON Schema: editors complete, explain and check with it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import PydanticOmit

from tenantry.loading.layers import MERGED_KEY_BY_KEY
from tenantry.settings import CatalogSettings, Settings, TenantSettings
from tenantry.settings.process import ORIGIN
from tenantry.settings.tenant import TENANT_NAME
from tenantry.sources.session import LoginChoice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import BaseModel
    from pydantic.json_schema import JsonSchemaMode
    from pydantic_core import core_schema

    from tenantry.settings import Kind

Schema = dict[str, Any]

NULL: Schema = {"type": "null"}
# What stands for something else: `${NAME}` in a place where no text belongs.
VARIABLE: Schema = {"type": "string", "pattern": r"\$\{"}

_SHAPES: dict[str, Schema] = {
    "duration": {
        "description": "Seconds as a number, or a text with a unit: 250ms, 5s, 10m, 1h, 7d.",
        "anyOf": [
            {"type": "number", "minimum": 0},
            {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|m|h|d)\s*$|\$\{"},
        ],
    },
    "http_url": {
        "description": "An http(s) URL without a user name or password.",
        "type": "string",
        "pattern": r"^[hH][tT][tT][pP][sS]?://[^/?#@]+([/?#]|$)|\$\{",
    },
    "websocket_url": {
        "description": "A ws(s) URL without a user name or password.",
        "type": "string",
        "pattern": r"^[wW][sS][sS]?://[^/?#@]+([/?#]|$)|\$\{",
    },
    "origin": {
        "description": "https://HOST, https://HOST:PORT or https://*.DOMAIN.",
        "type": "string",
        "pattern": rf"^(?:{ORIGIN.pattern})$|\$\{{",
    },
    "plain_or_secret": {
        "description": "A text, a number, true or false, or a secret reference.",
        "anyOf": [{"type": ["string", "number", "boolean"]}, {"$ref": "#/$defs/secret"}],
    },
    "path_or_secret": {
        "description": "A path, or a secret reference.",
        "anyOf": [{"type": "string"}, {"$ref": "#/$defs/secret"}],
    },
}


def schema(kinds: Mapping[str, Kind]) -> Schema:
    """Return the JSON Schema (draft 2020-12) of a configuration file.

    Args:
        kinds: the kinds of sources that it may speak of, by name.
    """
    defs = _Definitions(kinds)
    top = defs.take(Settings)
    top["properties"] |= _top_level(top["properties"], defs, kinds)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A configuration of tenantry",
        **top,
        "patternProperties": {"^x-": {"description": "Yours, for anchors and remarks."}},
        "$defs": defs.used_by(top),
    }


class _Definitions:
    """What the models say, by name; other schemas are added as they are made."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        models: list[type[BaseModel]] = [Settings, TenantSettings, CatalogSettings]
        for kind in kinds.values():
            models += _models_of(kind)
        modes: list[tuple[type[BaseModel], JsonSchemaMode]] = [
            (each, "validation") for each in models
        ]
        references, found = models_json_schema(modes, schema_generator=_Generator)
        # Models of one name in two packages are told apart by pydantic.
        self._names = {
            model: each["$ref"].rpartition("/")[2] for (model, _), each in references.items()
        }
        self._found: Schema = {name: _tidied(each) for name, each in found["$defs"].items()}
        self._found |= _SHAPES | {"secret": _secret(self, kinds)}

    def take(self, model: type[BaseModel]) -> Schema:
        taken: Schema = self._found.pop(self._names[model])
        return taken

    def of(self, reference: Schema) -> Schema:
        found: Schema = self._found[reference["$ref"].rpartition("/")[2]]
        return found

    def reference(self, model: type[BaseModel]) -> Schema:
        return {"$ref": f"#/$defs/{self._names[model]}"}

    def put(self, name: str, found: Schema) -> Schema:
        """Add a schema, and return the reference to it."""
        self._found[name] = found
        return {"$ref": f"#/$defs/{name}"}

    def used_by(self, top: Schema) -> Schema:
        said = str([top, self._found])
        return {name: self._found[name] for name in sorted(self._found) if _place(name) in said}


def _place(name: str) -> str:
    return f"'#/$defs/{name}'"


def _models_of(kind: Kind) -> list[type[BaseModel]]:
    return [kind.reference] if kind.settings is None else [kind.reference, kind.settings]


class _Generator(GenerateJsonSchema):
    """Words core schemas as a file says them: before `${NAME}` is filled in."""

    def int_schema(self, schema: core_schema.IntSchema) -> Schema:
        return _or_variable(super().int_schema(schema))

    def float_schema(self, schema: core_schema.FloatSchema) -> Schema:
        return _or_variable(super().float_schema(schema))

    def bool_schema(self, schema: core_schema.BoolSchema) -> Schema:
        return _or_variable(super().bool_schema(schema))

    def literal_schema(self, schema: core_schema.LiteralSchema) -> Schema:
        return _or_variable(super().literal_schema(schema))

    def str_schema(self, schema: core_schema.StringSchema) -> Schema:
        text = super().str_schema(schema)
        coerced = schema.get("coerce_numbers_to_str")
        return {"anyOf": [text, {"type": "number"}]} if coerced else text

    def callable_schema(self, schema: core_schema.CallableSchema) -> Schema:
        del schema
        raise PydanticOmit  # a file cannot hold one

    def model_schema(self, schema: core_schema.ModelSchema) -> Schema:
        found, cls = super().model_schema(schema), schema["cls"]
        return _choice(cls, found) if issubclass(cls, LoginChoice) else found


def _or_variable(found: Schema) -> Schema:
    return {"anyOf": [found, VARIABLE]}


def _choice(cls: type[LoginChoice], found: Schema) -> Schema:
    """One way to log in: a mapping with one key, or its name where it needs no settings."""
    by_name = [
        name
        for name, field in cls.model_fields.items()
        for each in getattr(field.annotation, "__args__", ())
        if hasattr(each, "model_fields") and not _required(each)
    ]
    description = found.pop("description")
    mapping = {**found, "minProperties": 1, "maxProperties": 1}
    names = [{"enum": by_name}] if by_name else []
    return {"description": description, "anyOf": [mapping, *names]}


def _required(model: type[BaseModel]) -> bool:
    return any(field.is_required() for field in model.model_fields.values())


def _tidied(found: Any) -> Any:
    """Leave out titles and defaults that are no scalars, and point at the shapes of values."""
    if isinstance(found, list):
        return [_tidied(each) for each in found]
    if not isinstance(found, dict):
        return found
    kept: Schema = {}
    for key, value in found.items():
        if key == "shape":
            kept["$ref"] = f"#/$defs/{value}"
        elif key == "properties":
            kept[key] = {name: _tidied(each) for name, each in value.items()}
        elif key != "title" and not (
            key == "default" and (value is None or isinstance(value, (dict, list)))
        ):
            kept[key] = _tidied(value)
    if kept.get("type") == "object" and "description" in kept:
        kept["description"] = _first_paragraph(kept["description"])
    return kept


def _first_paragraph(text: str) -> str:
    return " ".join(inspect.cleandoc(text).partition("\n\n")[0].split())


def _top_level(said: Schema, defs: _Definitions, kinds: Mapping[str, Kind]) -> Schema:
    """Return the keys whose models are told apart only when layers are merged."""
    tenant = defs.take(TenantSettings)
    entries = _layer(tenant["properties"], defs)
    own = {"inherit_environment": entries.pop("inherit_environment")}
    shared = "What tenants say, in defaults, a profile or an endpoint."
    layer = defs.put("layer", _nullable({**tenant, "description": shared, "properties": entries}))
    own["endpoints"] = {
        "description": "More addresses of the same tenant, by name.",
        **_nullable(_by_name(layer)),
    }
    one = {**tenant, "description": "One tenant.", "properties": {**entries, **own}}
    places = {
        "defaults": layer,
        "profiles": _nullable({"type": "object", "additionalProperties": layer}),
        "tenants": _nullable(_by_name(defs.put("tenant", _nullable(one)))),
        "sources": _nullable(_sources(defs, kinds)),
        "catalog": _catalog(defs),
    }
    return {
        key: {"description": said[key]["description"], **place} for key, place in places.items()
    }


def _catalog(defs: _Definitions) -> Schema:
    """Return where tenants may stand: in files, or in exactly one engine."""
    chosen = defs.take(CatalogSettings)
    engines = {
        name: {"description": said["description"], **reference}
        for name, said in chosen["properties"].items()
        for reference in said["anyOf"]
        if reference != NULL
    }
    one = {**chosen, "properties": engines, "minProperties": 1, "maxProperties": 1}
    return {"anyOf": [{"const": "files"}, one, VARIABLE]}


def _by_name(each: Schema) -> Schema:
    names = {"pattern": rf"^{TENANT_NAME.pattern}$"}
    return {"type": "object", "propertyNames": names, "additionalProperties": each}


def _nullable(found: Schema) -> Schema:
    """Return a schema of the same, or null; what describes it stays outside."""
    outside: Schema = {key: found[key] for key in ("description", "default") if key in found}
    inside = {key: value for key, value in found.items() if key not in outside}
    choices = inside["anyOf"] if inside.keys() == {"anyOf"} else [inside]
    choices = [each for each in choices if each != NULL]
    if len(choices) == 1 and isinstance(choices[0].get("type"), str) and "enum" not in choices[0]:
        # One schema of two types: an editor then speaks of what is wrong inside.
        return {**outside, **choices[0], "type": [choices[0]["type"], "null"]}
    return {**outside, "anyOf": [*choices, NULL]}


def _layer(properties: Schema, defs: _Definitions) -> Schema:
    """Return a tenant's keys as a layer says them: null takes a key away, at every level."""
    entries = {key: _nullable(found) for key, found in properties.items()}
    for key in MERGED_KEY_BY_KEY:
        entries[key] = _merging(key, properties[key], defs)
    entries["timeout"]["anyOf"].insert(0, {"$ref": "#/$defs/duration"})
    entries["proxy"]["anyOf"].insert(0, {"$ref": "#/$defs/http_url"})
    entries["profile"] = {
        "description": "A profile, or a list of them of which a later one wins.",
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}, NULL],
    }
    return entries


def _merging(key: str, found: Schema, defs: _Definitions) -> Schema:
    """Return a mapping that layers merge, in which null takes an entry away."""
    if "additionalProperties" in found:
        entries = _nullable(found["additionalProperties"])
        return _nullable({**found, "additionalProperties": entries})
    [reference] = [each for each in found.get("anyOf", [found]) if "$ref" in each]
    model = defs.of(reference)
    entries = {name: _nullable(each) for name, each in model["properties"].items()}
    merged = defs.put(key, {**model, "properties": entries})
    return _nullable({"description": found["description"], **merged})


def _sources(defs: _Definitions, kinds: Mapping[str, Kind]) -> Schema:
    """Return what stands under `sources`: the kind is the `type`, else the source's own name."""
    by_name: Schema = {}
    by_type: list[Schema] = []
    for name, kind in kinds.items():
        if kind.settings is not None:
            reference = defs.reference(kind.settings)
            settings = defs.of(reference)
            said = {"description": f"The kind of the source: {name}.", "const": name}
            settings["properties"] = {"type": said, **settings["properties"]}
            own = reference if _required(kind.settings) else _nullable(reference)
            by_name[name] = {"description": settings["description"], **own}
            chosen = {"properties": {"type": {"const": name}}, "required": ["type"]}
            by_type.append({"if": chosen, "then": reference})
    other = {
        "type": "object",
        "properties": {"type": {"description": "The kind of the source.", "enum": list(by_name)}},
        "required": ["type"],
        "allOf": by_type,
    }
    return {"type": "object", "properties": by_name, "additionalProperties": other}


def _secret(defs: _Definitions, kinds: Mapping[str, Kind]) -> Schema:
    """Return what a secret reference is: a mapping of a source to what is asked of it."""
    inside = {name: _inside(defs.reference(kind.reference), kind) for name, kind in kinds.items()}
    declared = [inside[name]["anyOf"] for name, kind in kinds.items() if kind.settings is not None]
    return {
        "description": "A secret reference: a mapping with one key, a source that is built in or"
        " declared under `sources`, and inside it what to ask of that source.",
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": inside,
        "additionalProperties": {"anyOf": _unique(each for group in declared for each in group)},
    }


def _inside(reference: Schema, kind: Kind) -> Schema:
    """Return what a reference says inside: its main argument alone, or all by name."""
    main = {"$ref": f"{reference['$ref']}/properties/{kind.reference.main}"}
    description = _first_paragraph(kind.reference.__doc__ or "")
    return {"description": description, "anyOf": [main, reference]}


def _unique(found: Iterable[Schema]) -> list[Schema]:
    return list({str(each): each for each in found}.values())
