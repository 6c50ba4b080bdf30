from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.catalog.texts import HEAD, FileTenants, read_tenant, tenant_text
from tenantry.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        "no",
        "Yes",
        "null",
        "~",
        "1e3",
        "0o17",
        "12:30",
        "2030-01-01",
        "<<",
        "=",
        "- a",
        "a: b",
        ".inf",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXTS
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_nothing_is_lost(said: dict[str, Any]) -> None:
    """What is written is read back as it was, whatever JSON can say."""
    again = read_tenant(tenant_text("acme", said), "file", "x")

    assert {"acme": said} == again
    assert repr({"acme": said}) == repr(again)  # 1 is not 1.0, and the order counts


def test_many_make_a_file(tmp_path: Path) -> None:
    """A head and the lines of each tenant are a configuration's `tenants`."""
    file = tmp_path / "tenants.yaml"
    file.write_text(HEAD + tenant_text("a-1", {"timeout": 5}) + tenant_text("b", {}))

    assert {"a-1": {"timeout": 5}, "b": {}} == FileTenants([tmp_path]).said


def test_what_files_say_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable is filled in: its value may be a secret; what is no tenant is named."""
    monkeypatch.setenv("KEY", "hunter2")
    (tmp_path / "tenantry.yaml").write_text(
        "defaults: {}\ntenants: {a: {labels: {x: '${KEY}'}}, b: }"
    )
    files = FileTenants([tmp_path])

    assert ["defaults"] == files.others
    assert {"a": {"labels": {"x": "${KEY}"}}, "b": {}} == files.said


def test_problems_of_files(tmp_path: Path) -> None:
    """Everything that is wrong with files is told, with its line."""
    (tmp_path / "a.yaml").write_text("tenants: {a: [1], b: 2}")
    (tmp_path / "b.yaml").write_text("tenants: {b: }\nx: {")

    with pytest.raises(ConfigError) as caught:
        FileTenants([tmp_path])
    places = [
        (problem.path, problem.site and problem.site.line) for problem in caught.value.problems
    ]
    assert ("tenants.a", 1) in places
    assert ("tenants.b", 1) in places
    assert any(not path for path, _ in places)


def test_a_problem_found_later_shows_its_line(tmp_path: Path) -> None:
    """What is wrong with a tenant of a file is shown where it stands."""
    file = tmp_path / "a.yaml"
    file.write_text("tenants:\n  a: {timeout: soon}")
    files = FileTenants([file])

    with pytest.raises(ConfigError, match=r"a: \{timeout: soon\}"):
        files.raise_any(
            [Problem("is no time", "tenants.a.timeout", files.said["a"].sites["timeout"])]
        )


def test_one_tenant() -> None:
    """One tenant's settings are a mapping; nothing at all is one that says nothing."""
    assert {"timeout": 5} == read_tenant("timeout: 5", "file", "acme")
    assert {} == read_tenant("", "file", "acme")
    with pytest.raises(ConfigError, match=r"tenants\.acme: is not a mapping"):
        read_tenant("- 5", "file", "acme")
    with pytest.raises(ConfigError, match="file:2:1: not YAML"):
        read_tenant("{", "file", "acme")
