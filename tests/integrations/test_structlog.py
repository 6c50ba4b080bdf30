"""tenantry in structlog: the current tenant on every line, and no secret on any."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from tenantry import use_tenant
from tenantry.integrations.structlog import add_tenant, redact_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "sk-proj-0123456789abcdef"
HIDDEN = "**********"


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def test_a_line_says_whose_it_is() -> None:
    """Inside `use_tenant`; a line that names a tenant itself keeps it."""
    assert {} == add_tenant(None, "info", {})
    with use_tenant("acme"):
        assert {"tenant": "acme"} == add_tenant(None, "info", {})
        assert {"tenant": "globex"} == add_tenant(None, "info", {"tenant": "globex"})


def test_secrets_are_replaced_in_the_line_itself() -> None:
    """What has none stays, and the line of the application's own objects is not copied."""
    usage = {"total_tokens": 5}
    line: dict[str, Any] = {"event": f"with {SECRET}", "usage": usage, "headers": {"api-key": "k"}}
    kept = redact_secrets(None, "info", line)
    assert kept is line
    assert {"event": f"with {HIDDEN}", "usage": usage, "headers": {"api-key": HIDDEN}} == kept
    assert usage is kept["usage"]


def fail(key: str) -> None:
    raise ValueError(key)


@pytest.mark.parametrize(
    "tracebacks",
    [
        structlog.processors.format_exc_info,
        structlog.processors.dict_tracebacks,
        structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=True)
        ),
    ],
)
def test_tracebacks_are_redacted_once_they_are_text(tracebacks: Any) -> None:
    """Their messages and their locals, in either form."""
    written = io.StringIO()
    structlog.configure(
        processors=[tracebacks, redact_secrets, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(written),
    )
    api_key = SECRET
    try:
        fail(api_key)
    except ValueError:
        structlog.get_logger().exception("refused")
    assert (False, True) == (SECRET in written.getvalue(), HIDDEN in written.getvalue())
    assert "ValueError" in written.getvalue()


def test_both_work_in_a_processor_formatter() -> None:
    """Lines of structlog and of the standard library come out alike."""
    written = io.StringIO()
    shared: list[Any] = [add_tenant, structlog.stdlib.add_log_level]
    handler = logging.StreamHandler(written)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.processors.format_exc_info,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redact_secrets,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logger = logging.Logger("application")  # noqa: LOG001  # of no tree: others configure that
    logger.addHandler(handler)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=lambda *_: logger,
    )
    with use_tenant("acme"):
        structlog.get_logger("application").warning("a", password="p")
        logger.warning("Bearer %s", SECRET)
    first, second = map(json.loads, written.getvalue().splitlines())
    assert ("acme", HIDDEN) == (first["tenant"], first["password"])
    assert ("acme", f"Bearer {HIDDEN}") == (second["tenant"], second["event"])


def test_what_processors_hand_each_other_is_left_alone() -> None:
    """A record or an exception is written by the processor that knows it."""
    error = ValueError(SECRET)
    line: dict[str, Any] = {"exc_info": error, "_record": error}
    assert line == redact_secrets(None, "error", dict(line))
