"""Every event as one line of log: its name, its level, its facts.

The line goes through structlog where the application configured it, and else to the logger
`tenantry`; that is looked up for each line, and nobody's logging is configured here.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final

from tenantry import events
from tenantry.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenantry.events import Event

log = logging.getLogger("tenantry")

SHOWN = 10  # names, or problems; a reload may change thousands of tenants

LEVELS: Final[Mapping[type[Event], int]] = {
    events.SecretRefreshed: logging.DEBUG,
    events.SecretRotated: logging.INFO,
    events.SecretRejected: logging.WARNING,
    events.RefreshFailed: logging.ERROR,  # a warning where a held secret serves on
    events.CredentialPinned: logging.WARNING,  # an exception that somebody must not forget
    events.CredentialUnpinned: logging.WARNING,
    events.ClientBuilt: logging.DEBUG,
    events.ClientEvicted: logging.DEBUG,
    events.RequestReplayed: logging.DEBUG,
    events.RequestAnswered: logging.DEBUG,
    events.TenantQuarantined: logging.WARNING,
    events.CatalogReloaded: logging.INFO,
    events.ReloadRejected: logging.WARNING,
    events.CatalogUnavailable: logging.ERROR,
    events.CatalogRecovered: logging.INFO,
}

_WORD = re.compile(r"(?<!^)(?=[A-Z])")
_PLAIN = re.compile(r"[\w.:/@+-]+")


def wants(event: Event) -> bool:
    """Whether anybody would see the event's line; asked before it is queued. Never raises."""
    try:
        return _is_seen(_application_logger(), _level(event))
    except Exception:  # noqa: BLE001  # the application's logging is broken: `write` will say so
        return True


def write(event: Event) -> None:
    """Write the event's line, if its level is on."""
    logger, level = _application_logger(), _level(event)
    if not _is_seen(logger, level):
        return
    facts = _facts(event)
    if logger is not None:
        getattr(logger, logging.getLevelName(level).lower())(f"tenantry.{name(event)}", **facts)
        return
    text = " ".join(f"{key}={_worded(value)}" for key, value in facts.items())
    extra = {"tenantry": {"event": f"tenantry.{name(event)}", **facts}}
    # The name is the message and the facts an argument: whoever groups lines sees one kind.
    log.log(level, f"{name(event)} %s", text, extra=extra)  # noqa: G004  # a name, not a value


def name(event: Event) -> str:
    """Return what an event's line is called, without `tenantry.`: `secret_rotated`."""
    return _WORD.sub("_", type(event).__name__).lower()


def _application_logger() -> Any:
    """Return structlog's logger where the application configured it; it is never imported here."""
    structlog: Any = sys.modules.get("structlog")
    if structlog is None or not structlog.is_configured():
        return None
    return structlog.get_logger("tenantry").bind()


def _is_seen(logger: Any, level: int) -> bool:
    if logger is None:
        return log.isEnabledFor(level)
    # Of structlog's loggers only those that filter know; others let their processors decide.
    enabled = getattr(type(logger), "is_enabled_for", None)
    return enabled is None or bool(enabled(logger, level))


def _level(event: Event) -> int:
    if isinstance(event, events.RefreshFailed) and event.usable:
        return logging.WARNING
    return LEVELS.get(type(event), logging.INFO)


def _facts(event: Event) -> dict[str, Any]:
    """Return what an event says, as JSON knows it, without what is empty."""
    said = {field.name: _told(getattr(event, field.name)) for field in fields(event)}
    return {name: value for name, value in said.items() if value not in ("", [])}


def _told(value: object) -> object:
    if isinstance(value, tuple):
        shown = [_told(each) for each in value[:SHOWN]]
        return [*shown, f"and {len(value) - SHOWN} more"] if len(value) > SHOWN else shown
    if isinstance(value, Problem):
        return str(replace(value, hint="", excerpt=""))
    if isinstance(value, float):
        return round(value, 3)
    return value if isinstance(value, (bool, int)) else str(value)


def _worded(value: object) -> str:
    """Write a fact so that it stays one line, and one word of it."""
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
