"""`tenantry demo`: the main job on embedded servers."""

from tenantry.cli.demo.run import run

__all__ = ["run"]
