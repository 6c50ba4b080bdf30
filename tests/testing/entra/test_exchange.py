import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from tenantry.testing.entra.exchange import Call, Reply, RequestLog


@pytest.fixture
def log() -> RequestLog:
    return RequestLog(threading.RLock())


def test_call_repr_shows_nothing_secret(make_call: Callable[..., Call]) -> None:
    """What a client sends in its body, headers or query is not in the repr of a call."""
    hidden = {"hidden": "hunter2"}
    call = make_call(form=hidden, headers=hidden, query=hidden)
    assert "hunter2" not in repr(call)


def test_reply_repr_shows_nothing_secret() -> None:
    """What a client is given is not in the repr of a reply."""
    assert "hunter2" not in repr(Reply(200, {"access_token": "hunter2"}))


def test_requests_are_recorded_in_order(log: RequestLog, make_call: Callable[..., Call]) -> None:
    """Requests are numbered from one as they arrive."""
    log.record(make_call(kind="discovery"))
    log.record(make_call(kind="token"))
    assert [(1, "discovery"), (2, "token")] == [(r.sequence, r.kind) for r in log.snapshot()]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (
            {
                "form": {"client_id": "app", "scope": "s/.default", "client_secret": "hunter2"},
                "path_params": {"directory_id": "d"},
            },
            ("app", "d", "s/.default"),
        ),
        ({"query": {"client_id": "app", "resource": "s"}}, ("app", None, "s")),
    ],
)
def test_record_tells_who_asked_for_what(
    log: RequestLog, make_call: Callable[..., Call], parts: dict[str, Any], expected: object
) -> None:
    """A record has client, directory and scope, from the form or the query, and no secret."""
    log.record(make_call(**parts))
    (request,) = log.snapshot()
    assert expected == (request.client_id, request.directory_id, request.scope)
    assert "hunter2" not in repr(request)


def test_count_is_of_one_kind(log: RequestLog, make_call: Callable[..., Call]) -> None:
    """Only requests of the kind are counted."""
    for kind in ("discovery", "token", "token"):
        log.record(make_call(kind=kind))
    assert 2 == log.count("token")


def test_count_of_an_unknown_kind_is_an_error(log: RequestLog) -> None:
    """A misspelt kind is not counted as zero."""
    with pytest.raises(ValueError, match="'tokens'; one of discovery, token"):
        log.count(cast("Any", "tokens"))
