"""Every command by name, loaded when it is run; what all of them share stands here."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from tenantry.cli import exits
from tenantry.cli.terminal import Terminal
from tenantry.errors import (
    ConfigError,
    MissingExtraError,
    TenantDisabledError,
    TenantQuarantinedError,
    TenantryError,
    UnknownEndpointError,
    UnknownTenantError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

# Each is a module of this package that has it as `command`.
COMMANDS = {
    "init": "write a commented configuration to begin with",
    "check": "find what is wrong with the configuration, and say where",
    "list": "list the tenants",
    "show": "show every setting of a tenant, and where it was said",
    "plan": "show what another configuration changes",
    "ping": "send one request for each tenant",
    "doctor": "look at everything that a request needs",
    "keys": "look at the secrets that serve, and change which do",
    "catalog": "look after the tenants that a database keeps",
    "schema": "print the JSON Schema of a configuration, for editors",
    "demo": "run the main job on embedded servers",
    "completion": "print what completes commands in a shell",
}

_CODES: Sequence[tuple[tuple[type[TenantryError], ...], int]] = (
    ((ConfigError, TenantQuarantinedError, TenantDisabledError), exits.CONFIGURATION),
    ((MissingExtraError, UnknownTenantError, UnknownEndpointError), exits.USAGE),
    ((TenantryError,), exits.UPSTREAM),
)


def code_of(error: TenantryError) -> int:
    """Return the exit code of a command that an error ends."""
    return next(code for kinds, code in _CODES if isinstance(error, kinds))


class LateCommands(click.Group):
    """Knows commands by name and help, and imports the one that is run.

    Words our errors for people, on standard error, and ends with the exit code they have.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        command: click.Command = importlib.import_module(f"tenantry.cli.{cmd_name}").command
        return _with_shared_options(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's own signature
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("tenantry: interrupted", err=True)
            sys.exit(exits.INTERRUPTED)
        except TenantryError as error:
            ctx.obj.warn(str(error))
            if _is_newcomers(error):
                ctx.obj.note("next: tenantry init")
            sys.exit(code_of(error))


def _is_newcomers(error: TenantryError) -> bool:
    """Whether there was no configuration at all: no file, and no variable that is wrong."""
    return isinstance(error, ConfigError) and [
        (problem.path, problem.site) for problem in error.problems
    ] == [("tenants", None)]


def _take(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Keep a shared option where the command finds it: it may stand before its name or after."""
    if value:
        # The root words errors, whatever stands after a command's name.
        ctx.obj = ctx.find_root().obj = replace(ctx.obj, **{param.name: value})


def _shared_options() -> list[click.Option]:
    return [
        click.Option(
            ["--config"],
            type=click.Path(),
            multiple=True,
            help="A file or directory of the configuration; may be said more than once.",
            callback=_take,
            expose_value=False,
        ),
        _switch(["--json", "as_json"], "Print JSON, and nothing else, on standard output."),
        _switch(["--quiet", "-q"], "Print no notes and no progress on standard error."),
        _switch(["--no-color"], "Use no colours; NO_COLOR does the same."),
    ]


def _switch(names: list[str], told: str) -> click.Option:
    return click.Option(names, is_flag=True, help=told, callback=_take, expose_value=False)


def _with_shared_options(command: click.Command) -> click.Command:
    """Let a command, and those within it, take the shared options after their names, too."""
    taken = {option for param in command.params for option in param.opts}
    command.params += [
        each for each in _shared_options() if taken.isdisjoint((*each.opts, *each.secondary_opts))
    ]
    for inner in getattr(command, "commands", {}).values():
        _with_shared_options(inner)
    return command


@click.group(
    cls=LateCommands,
    params=_shared_options(),
    context_settings={"help_option_names": ["-h", "--help"], "obj": Terminal()},
)
@click.version_option(package_name="tenantry")
def tenantry() -> None:
    """One sealed, pooled, always-fresh OpenAI client for each tenant of your service."""
