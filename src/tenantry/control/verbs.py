"""What a control socket can be asked, and what it answers: plain data without a secret."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from enum import Enum
from heapq import nsmallest
from typing import Any, Protocol

from tenantry.errors import Problem, TenantryError
from tenantry.secret import Secret

PAGE = 500  # tenants in one answer


class Operated(Protocol):
    """A registry, as far as operators ask something of it."""

    @property
    def catalog(self) -> Any: ...
    def loaded_names(self) -> Collection[str]: ...
    def names_in_use(self) -> Collection[str]: ...
    def status(self, tenant: str) -> Any: ...
    def explain(self, tenant: str, *, endpoint: str | None = None) -> Any: ...
    def refresh(self, tenant: str, *, drop_previous: bool = False) -> None: ...
    def pin(self, tenant: str, version: str, *, seconds: float, setting: str = "") -> None: ...
    def unpin(self, tenant: str) -> bool: ...
    def plan(self) -> Any: ...
    def reload(self, *, force: bool = False) -> Any: ...


class RequestError(Exception):
    """A request that no verb understands; says why."""


def answer(operated: Operated, request: Mapping[str, Any]) -> Any:
    """Do what a request says, and return what comes of it as plain data.

    Raises:
        RequestError: there is no such verb, or it takes something else.
        TenantryError: what the registry says.
    """
    said = dict(request)
    verb = said.pop("verb", None)
    if not isinstance(verb, str) or verb not in _VERBS:
        raise RequestError(f"the verbs are {', '.join(_VERBS)}")
    _check(verb, said)
    own = _OWN.get(verb)
    return plain(getattr(operated, verb)(**said) if own is None else own(operated, **said))


def _status(operated: Operated, tenant: str = "", after: str = "") -> list[Any]:
    """Return what is known of one, else of the next page of those for whom a secret was wanted."""
    if tenant:
        return [operated.status(tenant)]
    return list(_statuses(operated, _page(operated.names_in_use(), after)))


def _tenants(operated: Operated, after: str = "") -> list[str]:
    """Return the next page of all names, or of an engine's of those that are loaded."""
    return _page(operated.loaded_names(), after)


def _list(operated: Operated, after: str = "") -> list[Any]:
    """Return what is known of each of such a page."""
    return list(_statuses(operated, _tenants(operated, after)))


def _page(names: Iterable[str], after: str) -> list[str]:
    return nsmallest(PAGE, (name for name in names if name > after))


def _statuses(operated: Operated, names: Iterable[str]) -> Iterator[Any]:
    for name in names:
        with contextlib.suppress(TenantryError):  # it went meanwhile
            yield operated.status(name)


def _explain(operated: Operated, tenant: str, endpoint: str = "") -> dict[str, Any]:
    """Return every setting by endpoint; "" is the tenant's own address."""
    parts = [endpoint] if endpoint else ["", *operated.catalog.get(tenant).endpoints]
    return {part: operated.explain(tenant, endpoint=part or None) for part in parts}


def _fingerprint(_operated: Operated, value: str) -> str:
    return Secret(value).fingerprint


# Every other verb is the registry's method of that name.
_OWN: Mapping[str, Callable[..., Any]] = {
    "status": _status,
    "tenants": _tenants,
    "list": _list,
    "explain": _explain,
    "fingerprint": _fingerprint,
}


@dataclasses.dataclass(frozen=True, slots=True)
class _Verb:
    """What has to be said beside a verb, and what may be; by type."""

    needs: Mapping[str, type] = dataclasses.field(default_factory=dict[str, type])
    takes: Mapping[str, type] = dataclasses.field(default_factory=dict[str, type])


_VERBS = {
    "status": _Verb(takes={"tenant": str, "after": str}),
    "tenants": _Verb(takes={"after": str}),
    "list": _Verb(takes={"after": str}),
    "explain": _Verb({"tenant": str}, {"endpoint": str}),
    "refresh": _Verb({"tenant": str}, {"drop_previous": bool}),
    "pin": _Verb({"tenant": str, "version": str, "seconds": float}, {"setting": str}),
    "unpin": _Verb({"tenant": str}),
    "fingerprint": _Verb({"value": str}),
    "plan": _Verb(),
    "reload": _Verb(takes={"force": bool}),
}


def _check(verb: str, said: Mapping[str, Any]) -> None:
    needs = _VERBS[verb].needs
    takes = {**needs, **_VERBS[verb].takes}
    for name, value in said.items():
        if name not in takes:
            raise RequestError(f"{verb} takes no such key: {', '.join(takes) or 'it takes none'}")
        wanted = (int, float) if takes[name] is float else takes[name]
        if not isinstance(value, wanted):
            raise RequestError(f"{name} is of another type")
    missing = needs.keys() - said.keys()
    if missing:
        raise RequestError(f"{verb} needs {', '.join(sorted(missing))}")


def plain(value: Any) -> Any:
    """Return what a registry answers as JSON knows it; lines of the configuration are left out."""
    if isinstance(value, Problem):
        shown = dataclasses.replace(value, excerpt="", site=None)
        return {"message": str(shown), "site": "" if value.site is None else str(value.site)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        by_name: Mapping[Any, Any] = value
        return {str(key): plain(inner) for key, inner in by_name.items()}
    if isinstance(value, (list, tuple)):
        several: Iterable[Any] = value
        return [plain(inner) for inner in several]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)
