"""What may a tenant point at? Defaults and profiles are the operator's; the rest is checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tenantry.errors import Problem
from tenantry.loading.problems import nearest
from tenantry.loading.values import Sited

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tenantry.errors import Site
    from tenantry.settings import AllowSettings, SecretReference, TenantSettings

# Where requests, credentials or tokens go.
_ADDRESSES = ("base_url", "azure_endpoint", "websocket_base_url")


def disallowed(
    allow: AllowSettings, tenant: str, settings: TenantSettings, merged: Sited, own: set[Site]
) -> list[Problem]:
    """Return what the tenant itself says (at a place in `own`) and `allow` does not name."""
    found: list[Problem] = []
    for path, url in _addresses(settings):
        site = _site(merged, path)
        if site in own and not _origin_allowed(allow, url):
            message = f"{_origin(url)} is not among allow.origins"
            found.append(Problem(message, f"tenants.{tenant}.{path}", site))
    for path, reference in settings.references():
        site = _site(merged, path)
        if site in own:
            found += [
                Problem(message, f"tenants.{tenant}.{path}", site, hint)
                for message, hint in _secrets_disallowed(allow, tenant, reference)
            ]
    return found


def _addresses(settings: TenantSettings) -> Iterator[tuple[str, str]]:
    said = [(key, getattr(settings, key)) for key in _ADDRESSES]
    if settings.proxy is not None:
        said.append(("proxy", settings.proxy.url))
    if settings.workload_identity is not None:
        url = settings.workload_identity.token_exchange_url
        said.append(("workload_identity.token_exchange_url", url))
    return ((path, url) for path, url in said if url is not None)


def _site(merged: Sited, path: str) -> Site | None:
    key, _, inner = path.partition(".")
    within = merged.get(key)
    if key in ("default_headers", "default_query", "tls") and isinstance(within, Sited):
        return within.sites.get(inner)
    return merged.sites.get(key)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    # A WebSocket is opened with a request: wss is https, and ws is http.
    return f"{parts.scheme.replace('ws', 'http')}://{parts.netloc.lower()}"


def _origin_allowed(allow: AllowSettings, url: str) -> bool:
    if allow.origins is None:
        return True
    return any(_origin_matches(pattern, _origin(url)) for pattern in allow.origins)


def _origin_matches(pattern: str, origin: str) -> bool:
    # `*` stands for one label of the host and never for a dot, a port or a scheme.
    expression = re.escape(pattern.rstrip("/").lower()).replace(r"\*", "[a-z0-9-]+")
    return re.fullmatch(expression, origin) is not None


def _secrets_disallowed(
    allow: AllowSettings, tenant: str, reference: SecretReference
) -> Iterable[tuple[str, str]]:
    for inner in reference.options.nested():
        yield from _secrets_disallowed(allow, tenant, inner)
    patterns = None if allow.secrets is None else allow.secrets.get(reference.source)
    if patterns is None:
        return
    filled = [pattern.replace("{tenant}", tenant) for pattern in patterns]
    locator = str(reference.options)
    if not any(_locator_matches(pattern, locator) for pattern in filled):
        message = f"{reference} is not among allow.secrets.{reference.source}"
        yield message, nearest(locator, filled)


def _locator_matches(pattern: str, locator: str) -> bool:
    expression = re.escape(pattern).replace(r"\*", "[^/]*")
    climbs = ".." in unquote(locator).split("/")
    return re.fullmatch(expression, locator) is not None and not climbs
