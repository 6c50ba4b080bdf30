from __future__ import annotations

import json
from typing import TYPE_CHECKING

from click.testing import CliRunner

from tenantry.cli import exits
from tenantry.cli.commands import tenantry
from tenantry.schema import schema
from tenantry.sources import kinds

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_printed() -> None:
    """The schema is printed as JSON, with the kinds of sources that are installed."""
    done = CliRunner().invoke(tenantry, ["schema"])

    assert exits.OK == done.exit_code
    assert schema(kinds()) == json.loads(done.stdout)


def test_it_is_written(tmp_path: Path) -> None:
    """With `--output` it is in the file, whole, and nothing is printed."""
    file = tmp_path / "tenantry.schema.json"
    done = CliRunner().invoke(tenantry, ["schema", "--output", str(file)])

    assert (exits.OK, "") == (done.exit_code, done.stdout)
    assert file.read_text() == CliRunner().invoke(tenantry, ["schema"]).stdout
    assert [file] == list(tmp_path.iterdir())


def test_it_cannot_be_written(tmp_path: Path) -> None:
    """A place that cannot be written to is a matter of usage."""
    done = CliRunner().invoke(tenantry, ["schema", "--output", str(tmp_path / "no" / "file")])

    assert exits.USAGE == done.exit_code
    assert "No such file or directory" in done.stderr
