"""tenantry in structlog: the current tenant on every line, and no secret on any.

    structlog.configure(processors=[
        add_tenant,
        structlog.processors.add_log_level,
        structlog.processors.dict_tracebacks,
        redact_secrets,                         # after all that brings text, before the renderer
        structlog.processors.JSONRenderer(),
    ])

Both are plain processors, for `ProcessorFormatter` too: its `foreign_pre_chain` takes
`add_tenant`, its `processors` end with `redact_secrets` and the renderer.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tenantry.context import current_tenant
from tenantry.errors import NoCurrentTenantError
from tenantry.integrations.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import MutableMapping

# What processors hand each other, and no renderer writes as it is.
_NOT_WRITTEN = frozenset({"exc_info", "_record", "_from_structlog", "_logger", "_name"})


def add_tenant(
    _logger: Any, _method: str, event_dict: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Say whose line it is, where `use_tenant` says so and the line does not."""
    if "tenant" not in event_dict:
        with suppress(NoCurrentTenantError):
            event_dict["tenant"] = current_tenant()
    return event_dict


def redact_secrets(
    _logger: Any, _method: str, event_dict: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace what is a secret by its key, or looks like one, at any depth. Never raises.

    It sees exceptions once they are text: `format_exc_info` or `dict_tracebacks` comes before it.
    """
    for key, value in list(event_dict.items()):
        if key not in _NOT_WRITTEN:
            kept = redacted(value, key)
            if kept is not value:
                event_dict[key] = kept
    return event_dict
