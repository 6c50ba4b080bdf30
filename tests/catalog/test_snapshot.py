"""All tenants at one instant: compared, swapped whole, and remembered for a while."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tenantry.catalog import CatalogChange, FilesCatalog, Snapshot, SnapshotCatalog
from tenantry.catalog.snapshot import CHANGES_KEPT, differs
from tenantry.errors import Problem
from tenantry.loading import load
from tenantry.sources import kinds

PROBLEMS = (Problem("is not a mapping", "tenants.broken"),)


def snapshot(*broken: str, **tenants: Any) -> Snapshot:
    said = {name: {"api_key": {"env": "KEY"}, **(each or {})} for name, each in tenants.items()}
    read = load({"tenants": said}, environ={}, kinds=kinds()) if said else None
    return Snapshot({} if read is None else read.tenants, dict.fromkeys(broken, PROBLEMS))


def test_what_changed() -> None:
    """Names that came, names that went, and names whose settings are others."""
    before = snapshot("broken", acme=None, globex=None, stark=None)
    after = snapshot("worse", acme=None, globex={"max_retries": 1}, wonka=None)
    change = after.change_from(before)
    assert change == CatalogChange(
        added=("wonka", "worse"),
        changed=("globex",),
        removed=("stark", "broken"),
        rejected={"worse": PROBLEMS},
    )
    assert not after.change_from(after).changed


def test_an_endpoint_is_part_of_its_tenant() -> None:
    """Other settings of an endpoint are a change of the tenant."""
    before = snapshot(acme={"endpoints": {"eu": {}}})
    after = snapshot(acme={"endpoints": {"eu": {"max_retries": 1}}})
    assert ("acme",) == after.change_from(before).changed


def test_difference() -> None:
    """A tenant differs from none, and not from itself, wherever it was said."""
    [acme] = snapshot(acme=None).tenants.values()
    assert [False, True, True, False] == [
        differs(acme, acme),
        differs(None, acme),
        differs(acme, None),
        differs(acme, replace(acme, said={})),
    ]


def test_the_quarantined_keep_what_they_had() -> None:
    """The last settings that were right serve on, unless the new ones say `enabled: false`."""
    before = snapshot(acme={"max_retries": 1}, globex={"max_retries": 1})
    after = snapshot("acme", "globex", "never-right", stark=None).after(before, {"globex"})
    assert ["stark", "acme", "globex"] == list(after.tenants)
    assert after.tenants["acme"] is before.tenants["acme"]
    assert (1, False) == (
        after.tenants["globex"].settings.max_retries,
        after.tenants["globex"].settings.enabled,
    )
    assert ("globex",) == after.change_from(before).changed


def test_getting_out_of_quarantine_is_a_change() -> None:
    """Also where nothing served meanwhile."""
    assert ("acme",) == snapshot(acme=None).change_from(snapshot("acme")).changed


def test_swapping_tells_what_is_different() -> None:
    """A catalog has the snapshot that was put last; its revision grows with each change."""
    catalog = FilesCatalog(snapshot(acme=None).tenants)
    assert (1, ()) == (catalog.revision, tuple(catalog.changes(1) or ()))
    assert ("globex",) == catalog.swap(snapshot(acme=None, globex=None)).added
    assert not catalog.swap(snapshot(acme=None, globex=None))
    assert ("acme",) == catalog.swap(snapshot(globex=None)).removed
    assert 3 == catalog.revision
    assert [{"acme", "globex"}, {"acme"}, set()] == [catalog.changes(n) for n in (1, 2, 3)]


def test_what_is_too_long_ago_is_not_known() -> None:
    """A bounded number of changes is remembered."""
    catalog = SnapshotCatalog()
    for number in range(CHANGES_KEPT + 1):
        catalog.swap(snapshot(**{f"tenant-{number}": None}))
    assert catalog.changes(1) is None
    assert {"tenant-0", "tenant-1", "tenant-2"} <= set(catalog.changes(2) or ())


def test_a_change_says_whether_it_is_one() -> None:
    """Nothing added, changed, removed or rejected is no change."""
    assert [False, True] == [bool(CatalogChange()), bool(CatalogChange(rejected={"a": PROBLEMS}))]
