import threading

import pytest

from tenantry.testing.entra.tokens import IssuedToken, TokenLedger


@pytest.fixture
def ledger() -> TokenLedger:
    return TokenLedger(threading.RLock())


def issue(ledger: TokenLedger, scope: str = "s") -> IssuedToken:
    return ledger.issue("client_secret", client_id="app", directory_id="d", scope=scope)


def test_token_records_what_it_was_issued_for(ledger: TokenLedger) -> None:
    """A token knows its client, directory, scope, proof and lifetimes."""
    ledger.lifetime, ledger.refresh_in = 60, 30
    token = issue(ledger)
    expected = IssuedToken(1, "client_secret", "app", "d", "s", 60, 30, value=token.value)
    assert expected == token


def test_every_token_is_another(ledger: TokenLedger) -> None:
    """Two tokens for the same client differ in value and number."""
    first, second = issue(ledger), issue(ledger)
    assert first.value != second.value
    assert (1, 2) == (first.sequence, second.sequence)


def test_repr_does_not_show_the_token(ledger: TokenLedger) -> None:
    """The repr of a token does not contain its value."""
    token = issue(ledger)
    assert token.value not in repr(token)


def test_issued_tokens_are_listed(ledger: TokenLedger) -> None:
    """The ledger lists the tokens, oldest first."""
    tokens = (issue(ledger), issue(ledger))
    assert tokens == ledger.issued()


def test_hooks_see_the_token(ledger: TokenLedger) -> None:
    """Each hook is called with the token before `issue` returns it."""
    seen: list[IssuedToken] = []
    ledger.hooks += [seen.append, seen.append]
    token = issue(ledger)
    assert [token, token] == seen


def test_hooks_run_without_the_lock() -> None:
    """A hook may wait for another thread that reads the ledger."""
    ledger = TokenLedger(threading.RLock())
    read: list[int] = []

    def read_elsewhere(_: IssuedToken) -> None:
        reader = threading.Thread(target=lambda: read.append(len(ledger.issued())))
        reader.start()
        reader.join(10)

    ledger.hooks.append(read_elsewhere)
    issue(ledger)
    assert [1] == read


def test_token_is_accepted(ledger: TokenLedger) -> None:
    """A fresh token is accepted as the one that was issued."""
    token = issue(ledger)
    assert token == ledger.accepted(token.value)


def test_foreign_token_is_not_accepted(ledger: TokenLedger) -> None:
    """A token from elsewhere is not accepted."""
    assert ledger.accepted("entra-made-up") is None


def test_expired_token_is_not_accepted(ledger: TokenLedger) -> None:
    """A token whose lifetime is over is not accepted."""
    ledger.lifetime = 0
    assert ledger.accepted(issue(ledger).value) is None


def test_revoked_token_is_not_accepted(ledger: TokenLedger) -> None:
    """A revoked token is not accepted, another still is."""
    revoked, kept = issue(ledger), issue(ledger)
    ledger.revoke(revoked.value)
    assert (None, kept) == (ledger.accepted(revoked.value), ledger.accepted(kept.value))


def test_only_issued_tokens_can_be_revoked(ledger: TokenLedger) -> None:
    """Revoking an unknown token is an error that does not repeat the token."""
    with pytest.raises(KeyError, match="not issued here"):
        ledger.revoke("entra-made-up")
