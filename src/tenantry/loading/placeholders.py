"""`{tenant}` and `{labels.NAME}` become the tenant's own words, in the few places that allow it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tenantry.errors import Problem
from tenantry.loading.values import Sited

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACES = frozenset(
    {
        "api_key",
        "admin_api_key",
        "azure_ad_token",
        "azure_ad_token_provider",
        "webhook_secret",
        "workload_identity",
        "base_url",
        "azure_endpoint",
        "organization",
        "project",
        "default_headers",
        "default_query",
    }
)
_PLACEHOLDER = re.compile(r"\{(tenant|labels\.[^{}]*)\}")


def filled(merged: Sited, tenant: str, problems: list[Problem]) -> Sited:
    """Fill in the placeholders of one tenant's merged settings; labels are percent-quoted."""
    labels = merged.get("labels")
    filling = _Filling(tenant, labels if isinstance(labels, Sited) else {}, problems)
    for key in PLACES & merged.keys():
        filling.key, filling.site = key, merged.sites[key]
        merged[key] = filling.fill(merged[key])
    return merged


class _Filling:
    def __init__(self, tenant: str, labels: Mapping[str, Any], problems: list[Problem]) -> None:
        self._tenant = tenant
        self._labels = labels
        self._problems = problems
        self.key = ""
        self.site: Any = None

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

    def _word(self, match: re.Match[str]) -> str:
        name = match[1]
        if name == "tenant":
            return self._tenant
        label = self._labels.get(name.removeprefix("labels."))
        if label is None:
            message = f"the tenant has no label {name.removeprefix('labels.')!r}"
            self._problems.append(Problem(message, self.key, self.site))
            return match[0]
        return quote(str(label), safe="")
