"""`tenantry demo`: the main job on embedded servers."""

from tenantry.cli.demo.command import command

__all__ = ["command"]
