from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tenantry.errors import Failure, SourceError
from tenantry.sources.vault_replies import answer, check, refuse

if TYPE_CHECKING:
    from collections.abc import Callable

PLANTED = "sk-planted-0123456789"


def reply(status: int, body: object = b"", **headers: str) -> requests.Response:
    made = requests.Response()
    made.status_code = status
    made._content = body if isinstance(body, bytes) else json.dumps(body).encode()
    made.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return made


def refusal(response: requests.Response) -> SourceError:
    with pytest.raises(SourceError) as caught:
        check(response)
    return caught.value


def within(error: Exception) -> SourceError:
    with pytest.raises(SourceError) as caught, refuse("Vault at X", "secret/acme"):
        raise error
    return caught.value


@pytest.mark.parametrize(
    "response",
    [
        reply(200, {}, Content_Type="application/json"),
        reply(200, {}, Content_Type="application/json; charset=utf-8"),
        reply(204),
    ],
)
def test_an_answer_passes(response: requests.Response) -> None:
    """JSON, and an answer without content, are what Vault says when all is well."""
    check(response)


@pytest.mark.parametrize("headers", [{}, {"Content_Type": "text/html"}])
def test_a_200_that_is_not_json_is_not_vaults(headers: dict[str, str]) -> None:
    """A proxy's page is refused, also one that does not say what it is."""
    assert "the reply is not JSON" == refusal(reply(200, b"<html>", **headers)).reason


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    """Whatever kind of redirect it is, it is transient and names the way out."""
    error = refusal(reply(status, Location="https://elsewhere.test"))
    assert Failure.TRANSIENT is error.failure
    assert "load balancer" in error.hint


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"errors": ["1 error occurred:\n\t* permission denied\n\n"]}, "1 error occurred: * permi"),
        ({"errors": ["a", "b"]}, "a b (status 403)"),
        ({"errors": []}, "refused (status 403)"),
        ({"errors": None}, "refused (status 403)"),
        ({}, "refused (status 403)"),
        ([], "refused (status 403)"),
        (b"<html>", "refused (status 403)"),
        (b"", "refused (status 403)"),
    ],
)
def test_vaults_own_words_are_shown(body: object, words: str) -> None:
    """What Vault says is put on one line; a body without words is only called a refusal."""
    error = refusal(reply(403, body))
    assert words in error.reason
    assert "\n" not in error.reason


@pytest.mark.parametrize(
    ("said", "expected"),
    [("7", 7.0), ("0.5", 0.5), ("Wed, 21 Oct 2015 07:28:00 GMT", None), ("", None)],
)
def test_retry_after_is_kept_where_it_is_in_seconds(said: str, expected: float | None) -> None:
    """Seconds are understood; a date, which no Vault sends, is not."""
    assert expected == refusal(reply(429, Retry_After=said)).retry_after


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (requests.ConnectTimeout(PLANTED), "Vault at X did not answer in time"),
        (requests.ReadTimeout(PLANTED), "Vault at X did not answer in time"),
        (requests.exceptions.SSLError(PLANTED), "certificate is not trusted"),
        (requests.ConnectionError(PLANTED), "Vault at X cannot be reached"),
        (requests.exceptions.ChunkedEncodingError(PLANTED), "Vault at X cannot be reached"),
        (requests.exceptions.InvalidHeader(PLANTED), "Vault at X cannot be reached"),
        (OSError(PLANTED), "its CA file cannot be read"),
    ],
)
def test_every_failure_is_worded_without_its_text(
    error: Exception, words: str, shown: Callable[[BaseException, str], bool]
) -> None:
    """Network errors are transient and told in our words: theirs may quote a request."""
    refused = within(error)
    assert words in str(refused)
    assert Failure.TRANSIENT is refused.failure
    assert not shown(refused, PLANTED)


def test_who_and_what_are_put_before_the_reason() -> None:
    """A refusal keeps its facts, and gains who was asked for what."""
    inner = SourceError("denied", failure=Failure.DENIED, hint="do", retry_after=3.0)
    error = within(inner)
    assert "Vault at X, secret/acme: denied" == error.reason
    assert (Failure.DENIED, "do", 3.0) == (error.failure, error.hint, error.retry_after)


def test_an_answer_is_a_mapping() -> None:
    """What hvac returns where Vault did not send JSON, or sent something else, is refused."""
    assert {"data": {}} == answer({"data": {}})
    others: list[Any] = [None, [], "text", reply(200)]
    for other in others:
        with pytest.raises(SourceError, match="not JSON"):
            answer(other)


def test_a_sealed_vault_is_said_in_our_words() -> None:
    """Whatever a 503 says, it is told that Vault is sealed, and what to do."""
    error = refusal(reply(503, {"errors": ["error performing token check: Vault is sealed"]}))
    assert "it is sealed or not available (status 503)" == error.reason
    assert (Failure.TRANSIENT, True) == (error.failure, "unseal it" in error.hint)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SourceError("invalid role (status 400)"), "invalid role (status 400)"),
        (requests.ReadTimeout(), "it did not answer in time"),
        (requests.ConnectionError(), "it cannot be reached"),
        (requests.exceptions.SSLError(), "its certificate is not trusted"),
        (
            requests.exceptions.SSLError("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert"),
            "it refused the TLS connection",
        ),
        (OSError(), "its CA file cannot be read"),
    ],
)
def test_it_is_who_the_caller_named(error: Exception, words: str) -> None:
    """Where the caller says who it was, these words go on from there."""
    with pytest.raises(SourceError) as caught, refuse("it"):
        raise error
    assert words == caught.value.reason
