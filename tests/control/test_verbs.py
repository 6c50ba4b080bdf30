"""What operators may ask, and that an answer is plain data."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tenantry.catalog import CatalogChange
from tenantry.control.verbs import RequestError, answer, plain
from tenantry.errors import Problem, Site
from tenantry.freshness import Freshness
from tenantry.secret import Secret


class Registry:
    """Notes what it is asked to do."""

    tenants = ("globex", "acme")

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []

    def status(self, tenant: str) -> Any:
        return {"name": tenant}

    def refresh(self, tenant: str, *, drop_previous: bool = False) -> None:
        self.done.append(("refresh", tenant, drop_previous))

    def pin(self, tenant: str, version: str, *, seconds: float, setting: str = "") -> None:
        self.done.append(("pin", tenant, version, seconds, setting))

    def unpin(self, tenant: str) -> bool:
        return tenant == "acme"

    def plan(self) -> CatalogChange:
        return CatalogChange(added=("acme",))

    def reload(self, *, force: bool = False) -> CatalogChange:
        self.done.append(("reload", force))
        return CatalogChange()


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"verb": "tenants"}, ["acme", "globex"]),
        ({"verb": "status"}, [{"name": "acme"}, {"name": "globex"}]),
        ({"verb": "status", "tenant": "acme"}, [{"name": "acme"}]),
        ({"verb": "unpin", "tenant": "acme"}, True),
        ({"verb": "plan"}, {"added": ["acme"], "changed": [], "removed": [], "rejected": {}}),
    ],
)
def test_a_verb_has_its_answer(request_: dict[str, Any], expected: object) -> None:
    """As plain data."""
    assert expected == answer(Registry(), request_)


def test_a_key_is_told_by_its_fingerprint() -> None:
    """The one that a status would show for it."""
    told = answer(Registry(), {"verb": "fingerprint", "value": "sk-1"})
    assert Secret("sk-1").fingerprint == told


def test_a_verb_does_what_it_says() -> None:
    """With what was said beside it."""
    registry = Registry()
    answer(registry, {"verb": "refresh", "tenant": "acme", "drop_previous": True})
    answer(registry, {"verb": "pin", "tenant": "acme", "version": "6", "seconds": 7200})
    answer(registry, {"verb": "reload", "force": True})
    assert [
        ("refresh", "acme", True),
        ("pin", "acme", "6", 7200, ""),
        ("reload", True),
    ] == registry.done


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({}, "the verbs are status, tenants, refresh"),
        ({"verb": ["status"]}, "the verbs are"),
        ({"verb": "refresh"}, "refresh needs tenant"),
        ({"verb": "pin", "tenant": "acme"}, "pin needs seconds, version"),
        ({"verb": "pin", "tenant": "acme", "version": 6, "seconds": 1}, "version is of another"),
        ({"verb": "plan", "planted": 1}, "plan takes no such key: it takes none"),
        ({"verb": "unpin", "planted": 1}, "unpin takes no such key: tenant"),
    ],
)
def test_what_no_verb_understands_is_refused(request_: dict[str, Any], reason: str) -> None:
    """It is told what is understood, and nothing of what was said is quoted."""
    with pytest.raises(RequestError, match=reason) as caught:
        answer(Registry(), request_)
    assert "planted" not in str(caught.value)


def test_whatever_a_registry_answers_is_plain_data() -> None:
    """Lines of the configuration are left out: where they are is enough."""

    @dataclass
    class Told:
        freshness: Freshness
        problems: tuple[Problem, ...]
        limit: float
        path: Path

    problem = Problem("is wrong", "tenants.acme", Site("a.yaml", 3), "mend it", "key: planted")
    told = plain(Told(Freshness.STALE, (problem,), math.inf, Path("/x")))
    said = {"message": "tenants.acme: is wrong\n    mend it", "site": "a.yaml:3:0"}
    assert {"freshness": "stale", "problems": [said], "limit": None, "path": "/x"} == told
    assert told == json.loads(json.dumps(told))
