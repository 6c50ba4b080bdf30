"""What may a tenant point at? Defaults and profiles are the operator's; the rest is checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tenantry.errors import Problem
from tenantry.loading.problems import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenantry.errors import Site
    from tenantry.loading.values import Sited
    from tenantry.settings import AllowSettings, SecretReference, TenantSettings

_ADDRESSES = ("base_url", "azure_endpoint")


def disallowed(
    allow: AllowSettings, tenant: str, settings: TenantSettings, merged: Sited, own: set[Site]
) -> list[Problem]:
    """Return what the tenant itself says (at a place in `own`) and `allow` does not name."""
    found: list[Problem] = []
    for key in _ADDRESSES:
        url = getattr(settings, key)
        if url is not None and merged.sites.get(key) in own and not _origin_allowed(allow, url):
            message = f"{_origin(url)} is not among allow.origins"
            found.append(Problem(message, f"tenants.{tenant}.{key}", merged.sites[key]))
    for path, reference in settings.references():
        site = _site(merged, path)
        if site in own:
            found += [
                Problem(message, f"tenants.{tenant}.{path}", site, hint)
                for message, hint in _secrets_disallowed(allow, tenant, reference)
            ]
    return found


def _site(merged: Sited, path: str) -> Site | None:
    key, _, inner = path.partition(".")
    within = merged.get(key)
    if key in ("default_headers", "default_query") and within is not None:
        site: Site | None = within.sites.get(inner)
        return site
    return merged.sites.get(key)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


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
    return re.fullmatch(expression, locator) is not None and ".." not in locator.split("/")
