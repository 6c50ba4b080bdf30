"""Whoever gets no secret learns why, and no text shows one."""

from __future__ import annotations

import base64
import logging
import traceback
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from tests.credential.conftest import PLANTED, unavailable

from tenantry.errors import CredentialUnavailableError, Failure, SourceError
from tenantry.secret import Document

if TYPE_CHECKING:
    from tests.credential.conftest import Bench

FORMS = (PLANTED, base64.b64encode(PLANTED.encode()).decode(), quote(PLANTED, safe=""))


async def test_an_error_names_tenant_setting_and_reference(bench: Bench) -> None:
    """Whoever reads the error knows whose secret it is, where it comes from, and when to retry."""
    bench.store.reply = SourceError("Vault is sealed", hint="unseal it")
    credential = bench.credential("acme", "api_key")
    with pytest.raises(CredentialUnavailableError) as caught:
        await credential.aget()
    for error in (unavailable(credential), caught.value):
        assert ("acme", "api_key from vault path") == (error.tenant, error.reference)
        assert "no credential for tenant 'acme': api_key from vault path: Vault is sealed" in str(
            error
        )
        assert 0.0 < error.retry_after <= 1.5
        assert isinstance(error.__cause__, SourceError)


def test_a_missing_field_is_an_error_of_its_credential_only(bench: Bench) -> None:
    """A document that lacks one tenant's field serves the others."""
    error = unavailable(bench.credential(field="absent"))
    assert "no field 'absent'; it has: api_key, other" in str(error)
    assert isinstance(error.__cause__, SourceError)
    assert Failure.ABSENT is error.__cause__.failure
    assert "v1" == bench.credential().get().reveal()


@pytest.mark.parametrize(
    "reply",
    [
        Document(f"{PLANTED}\n\n"),
        Document({"api_key": [PLANTED]}),
        Document({"a": PLANTED, "b": PLANTED}),
        ValueError(PLANTED),
        KeyError(PLANTED),
        SystemExit(PLANTED),
    ],
)
def test_no_error_log_or_event_shows_a_secret(
    bench: Bench, reply: Document | BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """However a secret is unusable, neither text nor traceback, log or event carries it."""
    bench.store.reply = reply
    with caplog.at_level(logging.DEBUG):
        error = unavailable(bench.credential())
        logging.getLogger("application").error("failed", exc_info=error)
    bench.events.close()
    texts = [
        "".join(traceback.format_exception(error)),
        repr(error),
        repr(bench.credential().status()),
        repr(bench.seen),
        caplog.text,
    ]
    assert [] == [form for form in FORMS for text in texts if form in text]
