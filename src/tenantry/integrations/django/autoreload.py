"""`runserver` takes a changed configuration in place, without a new process."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured

from tenantry.errors import ConfigError
from tenantry.integrations.django.opened import holder
from tenantry.integrations.django.options import read_options
from tenantry.opening import Opening

if TYPE_CHECKING:
    from tenantry.integrations.django.options import Options

_SUFFIXES = (".yaml", ".yml")


def paths(options: Options) -> tuple[Path, ...]:
    """Return the files and directories that the configuration is read from."""
    if options.registry is not None:
        return ()
    environ = os.environ if options.environ is None else options.environ
    return tuple(path.absolute() for path in Opening(options.config, environ, {}).paths)


def watch(sender: Any, **_: object) -> None:
    """Have the reloader look at the configuration, too."""
    for path in _watched():
        if path.is_dir():
            for suffix in _SUFFIXES:
                sender.watch_dir(path, f"**/*{suffix}")
        else:
            sender.watch_dir(path.parent, path.name)


def reload_in_place(file_path: Path, **_: object) -> bool | None:
    """Reload the registry; True keeps the reloader from starting the process anew.

    Where no registry is open the process may have stopped at a check of the configuration.
    """
    opened = holder.at_once
    if opened is None or not any(Path(file_path).is_relative_to(path) for path in _watched()):
        return None
    with contextlib.suppress(ConfigError):  # the registry logs it
        opened.registry.reload()
    return True


def _watched() -> tuple[Path, ...]:
    try:
        return paths(read_options())
    except ImproperlyConfigured:
        return ()  # the checks say why
