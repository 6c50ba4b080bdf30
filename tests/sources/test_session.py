from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from tenantry.errors import CredentialUnavailableError, Failure, SourceError
from tenantry.freshness import RefreshPolicy
from tenantry.keeper import Keeper
from tenantry.refresher import Refresher
from tenantry.secret import Document, Secret
from tenantry.settings import References, SecretReference
from tenantry.settings.base import Model
from tenantry.sources import SourceTools, kinds
from tenantry.sources.session import BELIEVED, LoginChoice, Session, own_secret, token
from tenantry.testing.vault import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.flight import Fetch
    from tenantry.holding import Held

DOWN = SourceError("it is down", hint="start it", retry_after=3.0)
DENIED = SourceError("denied", failure=Failure.DENIED)


class Store:
    """A store that gives sessions out and reads with them."""

    def __init__(self) -> None:
        self.valid = "session-1"
        self.logins = 0
        self.reads: list[str] = []
        self.failure: SourceError | None = None

    def login(self, *, forced: bool) -> Document:
        self.logins += 1
        if self.failure is not None:
            raise self.failure
        return Document({"token": self.valid}, lifetime=86_400.0)

    def read(self, held: Held, path: str = "acme") -> Document:
        used = token(held).reveal()
        self.reads.append(used)
        if used != self.valid or path == "forbidden":
            raise DENIED
        return Document(f"{path} by {used}")


class Bench:
    def __init__(self) -> None:
        self.store, self.clock, self.refresher = Store(), ManualClock(), Refresher()
        tools = SourceTools("store", {}, self._nothing, self._keep)
        policy = RefreshPolicy(overlap=0.0, wait=10.0)
        self.session = Session(tools, "Store", policy, self.store.login)

    def read(self, path: str = "acme") -> str:
        document = self.session.read_with(lambda held: self.store.read(held, path))
        return document.secret(None, "api_key").reveal()

    def refused(self, path: str = "acme") -> SourceError:
        with pytest.raises(SourceError) as caught:
            self.read(path)
        return caught.value

    def _keep(self, _what: str, policy: RefreshPolicy, fetch: Fetch) -> Keeper:
        return Keeper(fetch, self.refresher, "login", policy, clock=self.clock, dice=lambda: 0.0)

    def _nothing(self, _: SecretReference) -> Any:
        raise NotImplementedError


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.refresher.close()


# -- what a denial means --------------------------------------------------------------------------


def test_an_old_session_is_replaced_before_a_denial_counts(bench: Bench) -> None:
    """A session that ended on its own is replaced by one login, and the read is repeated."""
    bench.read()
    bench.store.valid = "session-2"
    bench.clock.advance(BELIEVED)
    assert "acme by session-2" == bench.read()
    assert (2, ["session-1", "session-1", "session-2"]) == (bench.store.logins, bench.store.reads)


def test_what_denies_a_young_session_is_believed(bench: Bench) -> None:
    """Within 30 s of a login nobody logs in again, whatever is denied."""
    bench.read()
    bench.clock.advance(BELIEVED - 1)
    assert DENIED is bench.refused("forbidden")
    assert (1, 2) == (bench.store.logins, len(bench.store.reads))


def test_many_denials_cost_one_login(bench: Bench) -> None:
    """One login confirms the session for every path that is denied within 30 s of it."""
    bench.read()
    for logins in (2, 3):
        bench.clock.advance(BELIEVED)
        bench.store.valid = f"session-{logins}"
        assert [DENIED] * 10 == [bench.refused("forbidden") for _ in range(10)]
        assert logins == bench.store.logins


def test_a_login_that_brings_the_same_session_confirms_it(bench: Bench) -> None:
    """Where logging in brings the same token, the denials stand and nothing is read again."""
    bench.read()
    bench.clock.advance(BELIEVED)
    assert [DENIED] * 5 == [bench.refused("forbidden") for _ in range(5)]
    assert (2, 6) == (bench.store.logins, len(bench.store.reads))


def test_many_who_lost_their_session_share_one_login(bench: Bench) -> None:
    """Ten readers that are refused at the same time log in once."""
    bench.read()
    bench.store.valid = "session-2"
    bench.clock.advance(BELIEVED)
    with ThreadPoolExecutor(10) as threads:
        found = set(threads.map(lambda _: bench.read(), range(10)))
    assert ({"acme by session-2"}, 2) == (found, bench.store.logins)


def test_a_session_that_was_replaced_meanwhile_is_used(bench: Bench) -> None:
    """Whoever was denied with an older session reads with the current one, however young it is."""
    bench.read()
    replaced: list[str] = []

    def read(held: Held) -> Document:
        if not replaced:
            bench.store.valid = "session-2"
            bench.session.keeper.refresh().wait(10.0)
            replaced.append("yes")
        return bench.store.read(held)

    document = bench.session.read_with(read)
    assert "acme by session-2" == document.secret(None, "api_key").reveal()
    assert 2 == bench.store.logins


def test_other_failures_are_no_reason_to_log_in(bench: Bench) -> None:
    """A store that fails, or has no such secret, is believed."""
    bench.read()
    bench.clock.advance(BELIEVED)
    for failure in (Failure.TRANSIENT, Failure.ABSENT):
        error = SourceError("no", failure=failure)

        def read(_: Held, error: SourceError = error) -> Document:
            raise error

        with pytest.raises(SourceError) as caught:
            bench.session.read_with(read)
        assert error is caught.value
    assert 1 == bench.store.logins


def test_a_denial_is_not_believed_where_the_login_fails(bench: Bench) -> None:
    """While nobody can log in, nothing is known of a denial: the login's failure is told."""
    bench.read()
    bench.clock.advance(BELIEVED)
    bench.store.valid, bench.store.failure = "session-2", DOWN
    error = bench.refused()
    assert "cannot log in to Store: it is down (start it)" == str(error)
    assert (Failure.TRANSIENT, 3.0) == (error.failure, error.retry_after)
    bench.store.failure = None
    bench.clock.advance(60)
    assert "acme by session-2" == bench.read()


def test_without_a_session_nothing_is_read(bench: Bench) -> None:
    """The first login's failure is told with its hint, and when to come back."""
    bench.store.failure = DOWN
    error = bench.refused()
    assert "cannot log in to Store: it is down (start it)" == str(error)
    assert (Failure.TRANSIENT, []) == (error.failure, bench.store.reads)
    assert 0.0 < (error.retry_after or 0.0) <= 5.0


def test_a_login_that_is_not_there_is_no_absent_secret(bench: Bench) -> None:
    """A login that the store does not know is denied: the document may well be there."""
    bench.store.failure = SourceError("no handler for route", failure=Failure.ABSENT)
    assert Failure.DENIED is bench.refused().failure


# -- a source's own secret ------------------------------------------------------------------------


class Getter:
    def __init__(self, secret: Secret | None) -> None:
        self._secret = secret

    def get(self) -> Secret:
        if self._secret is None:
            raise CredentialUnavailableError(
                "(source vault)",
                reference="secret_id from env SID",
                reason="variable SID is not set (set it and start again)",
                retry_after=3.0,
            )
        return self._secret

    def refresh(self) -> None:
        """Nothing is newer."""


def test_an_own_secret_is_revealed_or_named() -> None:
    """What a source needs for itself is its value, or says once which and why it is missing."""
    assert "x" == own_secret(Getter(Secret("x")))
    with pytest.raises(SourceError) as caught:
        own_secret(Getter(None))
    expected = "its secret_id from env SID: variable SID is not set (set it and start again)"
    assert (expected, 3.0) == (str(caught.value), caught.value.retry_after)


# -- the choice of a way --------------------------------------------------------------------------


class Badge(Model):
    number: int = 7
    pin: SecretReference | None = None


class Choice(LoginChoice):
    badge: Badge | None = None
    word: SecretReference | None = None
    file: str | None = None


def chosen(said: object) -> Choice:
    return Choice.model_validate(said, context=References(kinds()))


@pytest.mark.parametrize(
    "said", ["badge", {"badge": None}, {"badge": {}}, {"badge": {"number": 7}}]
)
def test_a_way_is_chosen_by_name(said: object) -> None:
    """The name alone, the name with nothing after it and empty settings mean the same."""
    assert (Badge(), "badge") == (chosen(said).badge, chosen(said).chosen)


@pytest.mark.parametrize(
    "said",
    [{}, {"badge": {}, "file": "/x"}, {"badge": None, "file": None}, "other", 5, {"file": None}],
)
def test_one_way_is_chosen(said: object) -> None:
    """No way, two ways, an unknown one and one that lacks its settings are refused."""
    with pytest.raises(ValidationError):
        chosen(said)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"badge": {"pin": {"env": "PIN"}}}, ["env PIN"]),
        ("badge", []),
        ({"word": {"env": "WORD"}}, ["env WORD"]),
        ({"file": "/x"}, []),
    ],
)
def test_a_way_names_its_secrets(said: object, expected: list[str]) -> None:
    """Every secret reference of the chosen way is found, by itself or among its settings."""
    assert expected == [str(each) for each in chosen(said).references()]
