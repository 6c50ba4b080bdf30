"""Every command, its options and its exit codes; the work itself is done elsewhere."""

from __future__ import annotations

import sys
from typing import TextIO

import click

from tenantry.cli import exits
from tenantry.errors import ConfigError, MissingExtraError, TenantryError


class _Commands(click.Group):
    """Words our errors for people, on standard error, and ends with the exit code they have."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            click.echo(f"tenantry: {error}", err=True)
            sys.exit(exits.CONFIGURATION)
        except KeyboardInterrupt:
            click.echo("tenantry: interrupted", err=True)
            sys.exit(exits.INTERRUPTED)
        except MissingExtraError as error:
            click.echo(f"tenantry: {error}", err=True)
            sys.exit(exits.USAGE)
        except TenantryError as error:
            click.echo(f"tenantry: {error}", err=True)
            sys.exit(exits.UPSTREAM)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tenantry")
def tenantry() -> None:
    """One sealed, pooled, always-fresh OpenAI client for each tenant of your service."""


@tenantry.command()
@click.option(
    "--seconds", type=click.FloatRange(1, 600), default=10.0, show_default=True, help="How long."
)
@click.option(
    "--tenants", type=click.IntRange(6, 240), default=24, show_default=True, help="How many."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else.")
def demo(seconds: float, tenants: int, *, as_json: bool) -> None:
    """Run the main job on embedded servers: no account, no network.

    Starts an OpenAI, a Vault and an Entra ID on loopback, configures tenants on them, sends
    requests for all of them at once, and rotates and revokes their keys meanwhile. Ends with 0
    only where no request failed.
    """
    from tenantry.cli.demo import run

    sys.exit(exits.OK if run(seconds=seconds, tenants=tenants, as_json=as_json) else exits.PROBLEMS)


@tenantry.command()
@click.option(
    "--output",
    type=click.File("w", encoding="utf-8", lazy=False, atomic=True),
    default="-",
    help="The file to write; standard output unless said.",
)
def schema(output: TextIO) -> None:
    """Print the JSON Schema of a configuration file, for editors.

    An editor with a YAML language server completes, explains and checks keys where a file begins
    with `# yaml-language-server: $schema=tenantry.schema.json`.
    """
    from tenantry.cli.schema import schema_text

    output.write(schema_text())
