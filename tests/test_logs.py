"""Every event as one line of log: names, levels, facts, and through whose logging it goes."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from structlog.testing import CapturingLoggerFactory

from tenantry import events, logs
from tenantry.errors import Problem
from tenantry.events import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

ROTATED = events.SecretRotated("acme", source="vault", version="7", previous_version="6")
BUILT = events.ClientBuilt("acme", endpoint="", kind="SealedOpenAI")


def failed(*, usable: bool) -> Event:
    said = {"source": "vault", "reason": "it said:\n'no'", "failure": "denied", "retry_in": 1.23456}
    return events.RefreshFailed("acme", usable=usable, **said)  # type: ignore[arg-type]  # mixed


@pytest.fixture
def unconfigured() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


pytestmark = pytest.mark.usefixtures("unconfigured")


def structlog_lines(level: int = logging.NOTSET, **options: Any) -> list[Any]:
    """Configure structlog as an application does; returns where its lines go."""
    factory = CapturingLoggerFactory()
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()],
        logger_factory=factory,
        **{"wrapper_class": structlog.make_filtering_bound_logger(level), **options},
    )
    return factory.logger.calls


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (events.SecretRefreshed, "debug secret_refreshed"),
        (events.SecretRotated, "info secret_rotated"),
        (events.SecretRejected, "warning secret_rejected"),
        (events.RefreshFailed, "error refresh_failed"),
        (events.CredentialPinned, "warning credential_pinned"),
        (events.CredentialUnpinned, "warning credential_unpinned"),
        (events.ClientBuilt, "debug client_built"),
        (events.ClientEvicted, "debug client_evicted"),
        (events.RequestReplayed, "debug request_replayed"),
        (events.RequestAnswered, "debug request_answered"),
        (events.TenantQuarantined, "warning tenant_quarantined"),
        (events.CatalogReloaded, "info catalog_reloaded"),
        (events.ReloadRejected, "warning reload_rejected"),
        (events.CatalogUnavailable, "error catalog_unavailable"),
        (events.CatalogRecovered, "info catalog_recovered"),
    ],
)
def test_the_names_and_levels_of_lines_are_promised(kind: type[Event], line: str) -> None:
    """Who searches logs, or wakes somebody by them, relies on both."""
    event = kind.__new__(kind)
    level = logging.getLevelName(logs.LEVELS[kind]).lower()
    assert line == f"{level} {logs.name(event)}"


def test_every_event_has_a_level() -> None:
    """One that is new is thought about here first."""
    kinds = {
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
    }
    assert kinds == set(logs.LEVELS)


def test_a_failure_that_nobody_notices_yet_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """It is an error once nothing usable is held."""
    logs.write(failed(usable=True))
    logs.write(failed(usable=False))
    assert [logging.WARNING, logging.ERROR] == [record.levelno for record in caplog.records]


def test_a_line_is_readable_and_has_its_facts_beside_it(caplog: pytest.LogCaptureFixture) -> None:
    """Under one key, which no attribute of a record is called; JSON can write them."""
    caplog.set_level(logging.INFO, "tenantry")
    logs.write(ROTATED)
    (record,) = caplog.records
    text = "secret_rotated tenant=acme source=vault version=7 previous_version=6"
    assert ("tenantry", text) == (record.name, record.getMessage())
    facts = {"tenant": "acme", "source": "vault", "version": "7", "previous_version": "6"}
    assert {"event": "tenantry.secret_rotated", **facts} == vars(record)["tenantry"]
    assert json.dumps(vars(record)["tenantry"])
    assert "secret_rotated %s" == record.msg


def test_a_line_stays_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a source says cannot look like another line, or another fact."""
    logs.write(failed(usable=False))
    assert (
        "refresh_failed tenant=acme source=vault reason=\"it said:\\n'no'\" failure=denied"
        " retry_in=1.235 usable=False seconds=0.0"
    ) == caplog.records[0].getMessage()


def test_a_line_names_a_few_of_many(caplog: pytest.LogCaptureFixture) -> None:
    """A reload may change thousands of tenants; what is empty is left out."""
    caplog.set_level(logging.INFO, "tenantry")
    names = tuple(f"t{number}" for number in range(12))
    logs.write(events.CatalogReloaded("", added=names, changed=("x",), removed=(), rejected=()))
    facts = vars(caplog.records[0])["tenantry"]
    assert {"event", "added", "changed"} == set(facts)
    assert [*names[:10], "and 2 more"] == facts["added"]


def test_problems_are_told_without_what_surrounds_them(caplog: pytest.LogCaptureFixture) -> None:
    """Excerpts and hints are for who reads the error."""
    problem = Problem("is no number", "tenants.acme.timeout", hint="say 5", excerpt="timeout: x")
    logs.write(events.TenantQuarantined("acme", (problem,)))
    facts = vars(caplog.records[0])["tenantry"]
    assert ["tenants.acme.timeout: is no number"] == facts["problems"]


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
def test_nothing_is_formatted_that_nobody_sees(
    level: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a level is off its lines are not wanted, and cost nothing."""
    caplog.set_level(level, "tenantry")
    formatted: list[Event] = []

    def facts(event: Event) -> dict[str, Any]:
        formatted.append(event)
        return {}

    monkeypatch.setattr(logs, "_facts", facts)
    logs.write(BUILT)
    seen = level == logging.DEBUG
    assert (seen, [BUILT] if seen else []) == (logs.wants(BUILT), formatted)


def test_the_library_configures_nobodys_logging(caplog: pytest.LogCaptureFixture) -> None:
    """Neither the logger's level nor its handlers are ours to say."""
    logs.write(ROTATED)
    assert (logging.NOTSET, []) == (logs.log.level, logs.log.handlers)
    assert not structlog.is_configured()


def test_structlog_that_nobody_configured_is_not_used(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """It would print to the standard output, which belongs to the application."""
    logs.write(failed(usable=False))
    assert (1, "") == (len(caplog.records), capfd.readouterr().out)


def test_lines_go_through_structlog_once_it_is_configured(caplog: pytest.LogCaptureFixture) -> None:
    """That is looked at when a line is written, and then only there is one."""
    lines = structlog_lines()
    logs.write(ROTATED)
    assert {
        "event": "tenantry.secret_rotated",
        "level": "info",
        "tenant": "acme",
        "source": "vault",
        "version": "7",
        "previous_version": "6",
    } == json.loads(lines[0].args[0])
    assert [] == caplog.records


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_a_logger_of_structlog_that_filters_is_asked(level: int) -> None:
    """What it would drop is not wanted."""
    lines = structlog_lines(level)
    logs.write(ROTATED)
    seen = level == logging.INFO
    assert (seen, seen) == (logs.wants(ROTATED), bool(lines))


@pytest.mark.parametrize("wrapper", [structlog.BoundLogger, structlog.stdlib.BoundLogger])
@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_lines_go_through_structlog_to_the_standard_library(
    wrapper: Any, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The logger is called as it is without structlog."""
    caplog.set_level(level, "tenantry")
    structlog.configure(
        processors=[structlog.stdlib.add_logger_name, structlog.processors.JSONRenderer()],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=wrapper,
    )
    logs.write(ROTATED)
    names = [(each.name, json.loads(each.getMessage())["logger"]) for each in caplog.records]
    assert ([("tenantry", "tenantry")] if level == logging.INFO else []) == names


def test_logging_that_is_broken_harms_nobody_who_asks() -> None:
    """Who publishes an event goes on; the line's own writing fails, where it is reported."""
    structlog_lines(wrapper_class=lambda *_, **__: 1 / 0)
    assert logs.wants(ROTATED)
    with pytest.raises(ZeroDivisionError):
        logs.write(ROTATED)
