"""`{tenant}` and `{labels.NAME}` become the tenant's own words, in the few places that allow it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tenantry.errors import Problem
from tenantry.loading.problems import nearest
from tenantry.loading.values import Sited

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenantry.errors import Site

PLACES = frozenset(
    {
        "api_key",
        "admin_api_key",
        "azure_ad_token",
        "azure_ad_token_provider",
        "webhook_secret",
        "base_url",
        "azure_endpoint",
        "organization",
        "project",
        "default_headers",
        "default_query",
    }
)
# Of these, only the secret references inside.
_REFERENCES_ONLY = {
    "workload_identity": ("subject_token",),
    "tls": ("certificate", "key"),
    "proxy": ("password",),
}
_PLACEHOLDER = re.compile(r"\{(tenant|labels\.[^{}]*)\}")


_IN_ORDER = sorted(PLACES)


def filled(merged: Sited, tenant: str, problems: list[Problem]) -> Sited:
    """Fill in the placeholders of one tenant's merged settings; labels are percent-quoted."""
    labels = merged.get("labels")
    filling = _Filling(tenant, labels if isinstance(labels, Sited) else {}, problems)
    for key in _IN_ORDER:
        if key in merged and _has_braces(merged[key]):
            filling.path, filling.site = f"tenants.{tenant}.{key}", merged.sites[key]
            merged[key] = filling.fill(merged[key])
    for key, inside in _REFERENCES_ONLY.items():
        group = merged.get(key)
        if isinstance(group, Sited) and _has_braces(group):
            merged[key] = filling.within(group, f"tenants.{tenant}.{key}", inside)
    return merged


def _has_braces(value: Any) -> bool:
    if isinstance(value, str):
        return "{" in value
    if isinstance(value, Sited):
        return any(map(_has_braces, value.values()))
    return isinstance(value, list) and any(map(_has_braces, value))


class _Filling:
    def __init__(self, tenant: str, labels: Mapping[str, Any], problems: list[Problem]) -> None:
        self._tenant = tenant
        self._labels = labels
        self._problems = problems
        self.path = ""
        self.site: Site | None = None

    def fill(self, value: Any) -> Any:
        if isinstance(value, str):
            return _PLACEHOLDER.sub(self._word, value) if "{" in value else value
        if isinstance(value, Sited):
            twin = value.copy()
            for key, inner in value.items():
                twin[key] = self.fill(inner)
            return twin
        if isinstance(value, list):
            return [self.fill(inner) for inner in value]
        return value

    def within(self, group: Sited, path: str, keys: tuple[str, ...]) -> Sited:
        """Fill in the secret references that stand at some keys of a group."""
        twin = group.copy()
        for key in keys:
            if isinstance(group.get(key), Sited):
                self.path, self.site = f"{path}.{key}", group.sites[key]
                twin[key] = self.fill(group[key])
        return twin

    def _word(self, match: re.Match[str]) -> str:
        name = match[1]
        if name == "tenant":
            return self._tenant
        name = name.removeprefix("labels.")
        label = self._labels.get(name)
        if label is None:
            self._problem(f"the tenant has no label {name!r}", nearest(name, self._labels))
            return match[0]
        word = str(label)
        if not word.strip("."):
            # Quoting leaves dots alone, and a path would go up, or nowhere.
            self._problem(f"label {name!r} is empty or made of dots: it cannot stand in a path")
        return quote(word, safe="")

    def _problem(self, message: str, hint: str = "") -> None:
        self._problems.append(Problem(message, self.path, self.site, hint))
