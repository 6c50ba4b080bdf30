from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import pytest

from tenantry import sources
from tenantry.sources import ENTRY_POINTS, Source, SourceKind, kinds
from tenantry.sources.env import EnvReference, EnvSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sources.conftest import Bench

SAFE = SourceKind("safe", EnvReference, EnvSource)


def offer(monkeypatch: pytest.MonkeyPatch, *names: str) -> list[str]:
    """Let other packages offer a kind under these names; returns which were loaded."""
    loaded: list[str] = []

    class Offered(EntryPoint):
        def load(self) -> Any:
            loaded.append(self.name)
            return SAFE

    def entry_points(*, group: str) -> list[EntryPoint]:
        assert ENTRY_POINTS == group
        return [Offered(name, "safe:KIND", group) for name in names]

    monkeypatch.setattr(sources, "entry_points", entry_points)
    return loaded


def test_every_kind_is_known_by_its_name() -> None:
    """The table holds the built-in kinds, each under the name that references use."""
    table = kinds()
    assert {"literal", "env", "file", "python", "first_of", "vault", "entra"} <= set(table)
    assert all(name == kind.name for name, kind in table.items())


def test_which_kinds_are_declared() -> None:
    """Kinds with settings are declared under `sources`; those without stay what they are."""
    table = kinds()
    assert table["vault"].settings is not None
    assert table["entra"].settings is not None
    assert table["env"].settings is None
    assert {"literal", "env", "file"} == {name for name, kind in table.items() if kind.local}


@pytest.mark.parametrize("name", ["literal", "env", "file", "python", "first_of", "vault", "entra"])
def test_a_kind_describes_its_references(name: str) -> None:
    """Each reference has a main argument that is one of its keys, and a docstring."""
    reference = kinds()[name].reference
    assert reference.main in reference.model_fields
    assert {"field", "refresh"} <= set(reference.model_fields)
    assert reference.__doc__


def test_another_package_may_add_a_kind(
    opened: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry point of the group adds a kind that references can name."""
    loaded = offer(monkeypatch, "safe")
    assert SAFE is kinds()["safe"]
    assert ["safe"] == loaded
    assert "key" == opened(environ={"KEY": "key"}).value({"safe": "KEY"})


def test_a_built_in_kind_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that offers `vault` is not even loaded."""
    loaded = offer(monkeypatch, "vault", "env")
    assert SAFE not in kinds().values()
    assert [] == loaded


def test_the_contract_itself_fetches_nothing() -> None:
    """A source that calls up to the protocol's own `fetch` is told that there is none."""
    nobody: Any = None
    with pytest.raises(NotImplementedError):
        Source.fetch(nobody, None, forced=False)


def test_heavy_packages_are_imported_when_they_are_needed() -> None:
    """Knowing all kinds costs neither hvac nor azure-identity, openai or requests."""
    code = (
        "import sys, tenantry.sources as s; s.kinds();"
        "print([m for m in ('hvac', 'azure', 'openai', 'requests') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert "[]" == found.stdout.decode().strip()
