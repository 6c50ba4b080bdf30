"""What may a tenant point at? Defaults and profiles are the operator's; the rest is checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tenantry.errors import Problem
from tenantry.loading.problems import nearest
from tenantry.loading.values import Sited

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tenantry.errors import Site
    from tenantry.settings import AllowSettings, SecretReference, TenantSettings

SHOWN = 10  # of what a hint lists
# Where requests, credentials or tokens go.
_ADDRESSES = ("base_url", "azure_endpoint", "websocket_base_url")


class OwnPlaces:
    """The places that a tenant itself spoke at; looked up only where something is disallowed."""

    def __init__(self, *layers: Sited) -> None:
        self._layers = layers
        self._sites: set[Site] | None = None

    def __contains__(self, site: object) -> bool:
        if self._sites is None:
            self._sites = set(_sites_in(*self._layers))
        return site in self._sites


def _sites_in(*layers: Sited) -> Iterator[Site]:
    for layer in layers:
        yield from layer.sites.values()
        yield from _sites_in(*(said for said in layer.values() if isinstance(said, Sited)))


def _permitted(named: Sequence[str]) -> str:
    """Return what to do about something that `allow` does not name."""
    if not named:
        return "nothing of its kind is allowed: ask who runs this service to add it"
    return f"allowed are {', '.join(named[:SHOWN])}; ask who runs this service to add it"


class Allowance:
    """What the tenants of one configuration may point at.

    Where `closed`, what `allow` does not name is not allowed; else anything is, where `allow` says
    nothing of its kind.
    """

    def __init__(self, allow: AllowSettings, *, closed: bool = False) -> None:
        self._closed = closed
        said = () if closed and allow.origins is None else allow.origins
        self._named = tuple(said or ())
        self._origins = None if said is None else [_origin_expression(each) for each in said]
        self._secrets = allow.secrets or {}

    def disallowed(
        self, tenant: str, settings: TenantSettings, merged: Sited, own: OwnPlaces
    ) -> list[Problem]:
        """Return what the tenant itself says, and may not."""
        path = f"tenants.{tenant}"
        found: list[Problem] = []
        if self._origins is not None:
            found += self._addresses(path, settings, merged, own)
        if self._secrets or self._closed:
            found += self._references(path, tenant, settings, merged, own)
        return found

    def origin_allowed(self, url: str) -> bool:
        origin = origin_of(url)
        return self._origins is None or any(each.fullmatch(origin) for each in self._origins)

    def locator_problem(self, tenant: str, source: str, locator: str) -> tuple[str, str] | None:
        """Return what is wrong with a locator of a source, and a hint."""
        patterns = self._secrets.get(source)
        if patterns is None:
            if not self._closed:
                return None
            return f"source {source} is not named in allow.secrets", ""
        filled = [pattern.replace("{tenant}", tenant) for pattern in patterns]
        if any(_locator_matches(pattern, locator) for pattern in filled):
            return None
        message = f"{source} {locator} is not among allow.secrets.{source}"
        return message, nearest(locator, filled) or _permitted(filled)

    def _addresses(
        self, path: str, settings: TenantSettings, merged: Sited, own: OwnPlaces
    ) -> Iterator[Problem]:
        for key, url in _addresses(settings):
            if not self.origin_allowed(url) and (site := site_at(merged, key)) in own:
                message = f"{origin_of(url)} is not among allow.origins"
                yield Problem(message, f"{path}.{key}", site, _permitted(self._named))

    def _references(
        self, path: str, tenant: str, settings: TenantSettings, merged: Sited, own: OwnPlaces
    ) -> Iterator[Problem]:
        for key, reference in settings.references():
            for message, hint in self._disallowed_in(reference, tenant):
                if (site := site_at(merged, key)) in own:
                    yield Problem(message, f"{path}.{key}", site, hint)

    def _disallowed_in(self, reference: SecretReference, tenant: str) -> Iterable[tuple[str, str]]:
        nested = reference.options.nested()
        for inner in nested:
            yield from self._disallowed_in(inner, tenant)
        if nested and reference.source not in self._secrets:
            return  # it points at nothing but what it is made of
        problem = self.locator_problem(tenant, reference.source, str(reference.options))
        if problem is not None:
            yield problem


def _addresses(settings: TenantSettings) -> Iterator[tuple[str, str]]:
    for key in _ADDRESSES:
        if (url := getattr(settings, key)) is not None:
            yield key, url
    if settings.proxy is not None:
        yield "proxy", settings.proxy.url
    if settings.workload_identity is not None:
        url = settings.workload_identity.token_exchange_url
        if url is not None:
            yield "workload_identity.token_exchange_url", url


def site_at(merged: Sited, path: str) -> Site | None:
    """Return who said the value at a path: one key, or one key of a group that is merged."""
    key, _, inner = path.partition(".")
    within = merged.get(key)
    if key in ("default_headers", "default_query", "tls") and isinstance(within, Sited):
        return within.sites.get(inner)
    return merged.sites.get(key)


def origin_of(url: str) -> str:
    """Return scheme, host and port of an address."""
    parts = urlsplit(url)
    # A WebSocket is opened with a request: wss is https, and ws is http.
    return f"{parts.scheme.replace('ws', 'http')}://{parts.netloc.lower()}"


def _origin_expression(pattern: str) -> re.Pattern[str]:
    # `*` stands for one label of the host and never for a dot, a port or a scheme.
    return re.compile(re.escape(pattern.rstrip("/").lower()).replace(r"\*", "[a-z0-9-]+"))


def _locator_matches(pattern: str, locator: str) -> bool:
    if ".." in unquote(locator).split("/"):
        return False
    expected, actual = pattern.split("/"), locator.split("/")
    if len(expected) != len(actual):
        return False
    return all(map(_segment_matches, expected, actual))


def _segment_matches(pattern: str, segment: str) -> bool:
    """`*` stands for any text; a regular expression per tenant would take longer than the rest."""
    first, *others = pattern.split("*")
    if not others:
        return first == segment
    *middle, last = others
    if not segment.startswith(first) or not segment.endswith(last):
        return False
    at = len(first)
    for part in middle:
        found = segment.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return at + len(last) <= len(segment)
