"""`tenantry schema`: what editors check a configuration with."""

from __future__ import annotations

import json
from typing import TextIO

import click


@click.command("schema")
@click.option(
    "--output",
    type=click.File("w", encoding="utf-8", lazy=False, atomic=True),
    default="-",
    help="The file to write; standard output unless said.",
)
def command(output: TextIO) -> None:
    """Print the JSON Schema of a configuration file, for editors.

    An editor with a YAML language server completes, explains and checks keys where a file begins
    with `# yaml-language-server: $schema=tenantry.schema.json`.
    """
    output.write(schema_text())


def schema_text() -> str:
    """Return the JSON Schema of a configuration, of every kind of source that is installed."""
    from tenantry.schema import schema
    from tenantry.sources import kinds

    return json.dumps(schema(kinds()), indent=2, ensure_ascii=False) + "\n"
