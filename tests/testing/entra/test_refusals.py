from typing import Any, cast

import pytest

from tenantry.testing.entra.exchange import Reply
from tenantry.testing.entra.refusals import RefusedError, entra_failure


def body_of(reply: Reply) -> dict[str, Any]:
    return cast("dict[str, Any]", reply.body)


@pytest.mark.parametrize(
    ("refused", "status", "error"),
    [
        (RefusedError(7000215, client_id="app"), 401, "invalid_client"),
        (RefusedError(700016, client_id="app", directory_id="d"), 400, "unauthorized_client"),
        (RefusedError(90002, directory_id="d"), 400, "invalid_tenant"),
    ],
)
def test_refusal_has_status_error_and_code(refused: RefusedError, status: int, error: str) -> None:
    """A refusal gives status, error and AADSTS code as Entra does."""
    reply = refused.reply()
    body = body_of(reply)
    assert (status, error, [refused.code]) == (reply.status, body["error"], body["error_codes"])
    assert body["error_description"].startswith(f"AADSTS{refused.code}: ")


def test_refusal_can_be_traced() -> None:
    """The ids and the time of a refusal are in its body and repeated in its description."""
    body = body_of(RefusedError(700023).reply())
    for mark in ("trace_id", "correlation_id", "timestamp"):
        assert body[mark] in body["error_description"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "invalid_request"),
        (401, "invalid_client"),
        (429, "temporarily_unavailable"),
        (503, "temporarily_unavailable"),
    ],
)
def test_failure_is_named_for_its_status(status: int, error: str) -> None:
    """A planned failure has the error that fits its status, and the code in its text."""
    reply = entra_failure(status, "AADSTS90033: A transient error has occurred.")
    body = body_of(reply)
    assert (status, error, [90033]) == (reply.status, body["error"], body["error_codes"])


def test_failure_without_a_code_has_none() -> None:
    """Text without an AADSTS code gives an empty list of codes."""
    assert [] == body_of(entra_failure(503, "try again"))["error_codes"]
