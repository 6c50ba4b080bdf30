"""What operators may ask, and that an answer is plain data."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tenantry.catalog import CatalogChange
from tenantry.control.verbs import PAGE, RequestError, answer, plain
from tenantry.errors import Problem, Site, UnknownTenantError
from tenantry.freshness import Freshness
from tenantry.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence


class Registry:
    """Notes what it is asked to do; `wonka` goes while it is asked."""

    catalog: ClassVar[Any] = {"acme": SimpleNamespace(endpoints={"eu": None})}

    def __init__(self, names: Sequence[str] = ("globex", "acme", "wonka")) -> None:
        self.names = names
        self.done: list[tuple[Any, ...]] = []

    def loaded_names(self) -> Sequence[str]:
        return self.names

    def names_in_use(self) -> list[str]:
        return ["acme", "wonka"]

    def status(self, tenant: str) -> Any:
        if tenant == "wonka":
            raise UnknownTenantError(tenant)
        return {"name": tenant}

    def explain(self, tenant: str, *, endpoint: str | None = None) -> Any:
        return (tenant, endpoint)

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
        ({"verb": "tenants"}, ["acme", "globex", "wonka"]),
        ({"verb": "tenants", "after": "acme"}, ["globex", "wonka"]),
        ({"verb": "list"}, [{"name": "acme"}, {"name": "globex"}]),
        ({"verb": "list", "after": "acme"}, [{"name": "globex"}]),
        ({"verb": "explain", "tenant": "acme"}, {"": ["acme", None], "eu": ["acme", "eu"]}),
        ({"verb": "explain", "tenant": "acme", "endpoint": "eu"}, {"eu": ["acme", "eu"]}),
        ({"verb": "status"}, [{"name": "acme"}]),
        ({"verb": "status", "after": "acme"}, []),
        ({"verb": "status", "tenant": "acme"}, [{"name": "acme"}]),
        ({"verb": "unpin", "tenant": "acme"}, True),
        ({"verb": "plan"}, {"added": ["acme"], "changed": [], "removed": [], "rejected": {}}),
    ],
)
def test_a_verb_has_its_answer(request_: dict[str, Any], expected: object) -> None:
    """As plain data."""
    assert expected == answer(Registry(), request_)


def test_an_answer_has_a_page_at_most() -> None:
    """However many there are; the next one begins after its last name."""
    registry = Registry([f"t{number:04}" for number in range(PAGE + 3)])
    first = answer(registry, {"verb": "tenants"})
    assert (PAGE, ["t0500", "t0501", "t0502"]) == (
        len(first),
        answer(registry, {"verb": "tenants", "after": first[-1]}),
    )
    assert PAGE == len(answer(registry, {"verb": "list"}))


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
        ({}, "the verbs are status, tenants, list, explain, refresh"),
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
