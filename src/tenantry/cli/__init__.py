"""The command line: `tenantry`."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line; ends the process with the command's exit code."""
    from tenantry.cli.commands import tenantry

    tenantry(prog_name="tenantry")
