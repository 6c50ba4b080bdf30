"""`manage.py tenantry ...`: tenantry's own command line, with this project's configuration."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenantry.cli.commands import tenantry
from tenantry.integrations.django.autoreload import paths
from tenantry.integrations.django.opened import holder
from tenantry.opening import CONFIG_VARIABLE


class Command(BaseCommand):
    """Hands its arguments on; files that `TENANTRY` names are what the commands read."""

    help = "Runs tenantry's command line with the configuration of this project."
    requires_system_checks: list[str] = []  # noqa: RUF012  # as Django declares it; commands say it better

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("arguments", nargs="...", help="what tenantry --help tells")

    def run_from_argv(self, argv: list[str]) -> None:
        """Run as a process: every argument is the command's own, `--help` and `--version` too."""
        _point_at_configuration()
        tenantry.main(argv[2:], prog_name=f"{Path(argv[0]).name} {argv[1]}")

    def handle(self, **options: Any) -> None:
        """Run from code, as `call_command` does.

        Raises:
            CommandError: with the exit code, where it is not 0.
        """
        _point_at_configuration()
        # Not self.stdout: it ends every piece that is written with a new line.
        out: Any = options.get("stdout") or sys.stdout
        errors: Any = options.get("stderr") or sys.stderr
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            code = _exit_code(options["arguments"])
        if code:
            raise CommandError("tenantry failed, and said why", returncode=code)


def _exit_code(arguments: list[str]) -> int:
    try:
        tenantry.main(arguments, prog_name="tenantry")
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 0
    return 0


def _point_at_configuration() -> None:
    found = paths(holder.options)
    if found:
        os.environ[CONFIG_VARIABLE] = os.pathsep.join(map(str, found))
