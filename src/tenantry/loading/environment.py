"""What variables say: `${NAME}` in files, and `TENANTRY_...` over files."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from tenantry.errors import Problem, Site
from tenantry.loading.values import Sited, sited
from tenantry.loading.yaml import read_yaml
from tenantry.settings import Settings, TenantSettings, folded
from tenantry.settings.tenant import CREDENTIAL_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX = "TENANTRY_"

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{([^}]*)\}?")
_SECRET_KEYS = frozenset(
    {
        "api_key",
        "admin_api_key",
        "azure_ad_token",
        "azure_ad_token_provider",
        "webhook_secret",
        "subject_token",
        "literal",
    }
)
_SECRETS_OF_SOURCES = frozenset({"token", "secret_id", "client_secret"})
_SECTIONS = frozenset(map(folded, Settings.model_fields))
_NAMES_OF_OTHERS = frozenset({"registry", "catalog"})  # an image's registry, for instance
_TENANT_KEYS = (*tuple(TenantSettings.model_fields), "profile", "endpoints")


def expander(environ: Mapping[str, str], problems: list[Problem]) -> Callable[[str, Site], str]:
    """Return what fills in `${NAME}` and `${NAME:-default}` in a text of a file."""

    def expand(text: str, site: Site) -> str:
        def value(match: re.Match[str]) -> str:
            name, default, malformed = match[1], match[2], match[3]
            if malformed is not None:
                message = "`${...}` (not shown) names no variable: write ${NAME} or ${NAME:-text}"
                problems.append(Problem(message, site=site))
                return ""
            found = environ.get(name) or default
            if found is not None and not is_text(found):
                problems.append(Problem(f"variable {name} is not UTF-8 (not shown)", site=site))
                return ""
            if found is None:
                message = f"variable {name} is not set, or empty"
                hint = f"set it, or give a default: ${{{name}:-...}}"
                problems.append(Problem(message, site=site, hint=hint))
                return ""
            return found

        return _VARIABLE.sub(value, text)

    return expand


def read_environment(environ: Mapping[str, str], document: Sited, problems: list[Problem]) -> Sited:
    """Return what `TENANTRY_...` variables say, shaped like the document that they lie over.

    Names fold case and `-_.`; they have to meet a tenant, profile or source that the document
    names, unless it names none.
    """
    root = Sited(Site("environment"))
    for variable in sorted(environ):
        segments = variable.removeprefix(PREFIX).split("__")
        if not variable.startswith(PREFIX) or not _is_ours(segments, environ[variable]):
            continue
        top = _top_level(segments[0], variable, problems)
        if not is_text(variable):
            problems.append(_misnamed(variable))
        elif top is not None:
            _Placing(variable, environ[variable], document, problems).place(root, top, segments[1:])
    return root


def _is_ours(segments: list[str], text: str) -> bool:
    """Whether a variable says something here: a path, or a section whole.

    Others have names of one word, too: Kubernetes gives its services' ports, an image says its
    version. What bears a section's name is ours, or a restriction could be lost in silence.
    """
    name = folded(segments[0])
    if len(segments) > 1:
        return True
    if not text.strip() or name == "version":
        return False
    if name in _SECTIONS and name not in _NAMES_OF_OTHERS:
        return True
    return text.lstrip().startswith("{") or isinstance(read_yaml(text, "", []), Sited)


def is_text(word: str) -> bool:
    """Say whether a text is one: bytes of the environment that are not UTF-8 become surrogates."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _misnamed(variable: str) -> Problem:
    shown = variable.encode(errors="backslashreplace").decode()
    return Problem("the variable's name is not UTF-8", site=Site(f"env {shown}"))


def _top_level(segment: str, variable: str, problems: list[Problem]) -> str | None:
    """Return the key that the name begins with; others' variables are passed over in silence."""
    known = {folded(key): key for key in Settings.model_fields}
    found = known.get(folded(segment))
    if found is None and (near := difflib.get_close_matches(folded(segment), known, 1, 0.75)):
        message = "begins with no key of the configuration"
        hint = f"did you mean {PREFIX}{known[near[0]].upper()}__...?"
        problems.append(Problem(message, site=Site(f"env {variable}"), hint=hint))
    return found


class _Placing:
    """One variable on its way to its place."""

    def __init__(self, variable: str, text: str, document: Sited, problems: list[Problem]) -> None:
        self._variable = variable
        self._text = text
        self._document = document
        self._problems = problems
        self._site = Site(f"env {variable}")

    def place(self, root: Sited, top: str, segments: list[str]) -> None:
        path = self._path(top, segments)
        if path is None:
            return
        here = root
        for key in path[:-1]:
            if here.get(key) is None:
                here.put(key, Sited(self._site), self._site)
            if not isinstance(here[key], Sited):
                self._said_before(path, here.sites[key])
                return
            here = here[key]
        if path[-1] in here:
            self._said_before(path, here.sites[path[-1]])
            return
        before = len(self._problems)
        value = self._value(path)
        if len(path) > 1:
            here.put(path[-1], value, self._site)
        elif isinstance(value, Sited):
            here.put(top, self._with_names(top, value), self._site)
        elif len(self._problems) == before:
            hint = f"write {{KEY: VALUE}}, or {PREFIX}{top.upper()}__KEY for each key"
            self._problems.append(Problem("is no mapping (not shown)", top, self._site, hint))

    def _with_names(self, top: str, said: Sited) -> Sited:
        """Return a section with the document's spelling of tenants and profiles."""
        known = self._known_keys([top], self._document.get(top), 0)
        if top not in ("tenants", "profiles") or not known:
            return said
        spelled, found = {folded(key): key for key in known}, Sited(self._site)
        for name, value in said.items():
            if folded(name) in spelled:
                found.put(spelled[folded(name)], value, self._site)
            else:
                self._unmatched(top, name, known)
        return found

    def _said_before(self, path: list[str], site: Site) -> None:
        message = f"says again what {site} says"
        self._problems.append(Problem(message, ".".join(path), self._site))

    def _path(self, top: str, segments: list[str]) -> list[str] | None:
        """Return the document's spelling of the path, or None where it meets nothing."""
        path = [top]
        guide: Any = self._document.get(top)
        for depth, segment in enumerate(segments):
            keys, meant = self._known_keys(path, guide, depth), folded(segment)
            found = next((key for key in keys if folded(key) == meant), None)
            if found is None and top in ("tenants", "profiles") and depth == 0 and keys:
                self._unmatched(top, segment, keys)
                return None
            path.append(found if found is not None else _spelled(segment, path))
            guide = guide.get(path[-1]) if isinstance(guide, Sited) else None
        return path

    def _known_keys(self, path: list[str], guide: object, depth: int) -> list[str]:
        keys = list(guide) if isinstance(guide, Sited) else []
        named = path[0] in ("tenants", "profiles")
        if (named and depth == 1) or (path[0] == "defaults" and depth == 0):
            keys += [key for key in _TENANT_KEYS if key not in keys]
        return keys

    def _unmatched(self, top: str, segment: str, keys: list[str]) -> None:
        near = difflib.get_close_matches(folded(segment), [folded(key) for key in keys], 1)
        hint = ""
        if near:
            name = next(key for key in keys if folded(key) == near[0])
            hint = f"did you mean {PREFIX}{top.upper()}__{folded(name).upper()}__...?"
        message = f"names no {top[:-1]} of the configuration"
        self._problems.append(Problem(message, site=self._site, hint=hint))

    def _value(self, path: list[str]) -> object:
        plain = is_text(self._text) and not self._text.lstrip().startswith("{")
        if plain and _is_secret(path):
            return SecretStr(self._text)
        before = len(self._problems)
        value = read_yaml(self._text, str(self._site), self._problems)
        if len(self._problems) > before:
            # libyaml's words may quote the value, and a variable may hold a secret.
            del self._problems[before:]
            message = "the value is not YAML (not shown)"
            self._problems.append(Problem(message, ".".join(path), self._site))
        return sited(value, self._site)


def _spelled(segment: str, path: list[str]) -> str:
    """Return the likely spelling of a name that the document does not have."""
    word = segment.lower()
    return word.replace("_", "-") if path[-1] == "default_headers" else word


def _is_secret(path: list[str]) -> bool:
    """Say whether the value at `path` is a secret itself, unless it is a reference."""
    if path[0] == "sources" and path[-1] in _SECRETS_OF_SOURCES:
        return True
    if path[0] == "catalog" and path[-1] == "dsn":
        return True
    header = path[-2:-1] == ["default_headers"] and path[-1].casefold() in CREDENTIAL_HEADERS
    return header or path[-1] in _SECRET_KEYS
