"""Logging, as applications set it up."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog

from tenantry.integrations.structlog import add_tenant

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator


@contextmanager
def logged(written: io.StringIO, formatter: logging.Formatter | None) -> Iterator[None]:
    """Send every line of every library to one handler, or leave logging as Python has it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    for each in handlers:
        root.removeHandler(each)
    if formatter is not None:
        handler = logging.StreamHandler(written)
        handler.setFormatter(formatter)
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()


WITHOUT_LOCALS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def plain() -> logging.Formatter | None:
    return logging.Formatter(logging.BASIC_FORMAT)


def with_extras() -> logging.Formatter | None:
    class Extras(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return f"{super().format(record)} {vars(record)!r}"

    return Extras()


def structlog_json() -> logging.Formatter | None:
    structlog.configure(
        processors=[
            add_tenant,
            WITHOUT_LOCALS,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    return plain()


def processor_formatter() -> logging.Formatter | None:
    shared: list[Any] = [add_tenant, structlog.stdlib.add_log_level, structlog.stdlib.ExtraAdder()]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            WITHOUT_LOCALS,
            structlog.processors.JSONRenderer(),
        ],
    )


SET_UPS = (lambda: None, plain, with_extras, structlog_json, processor_formatter)
