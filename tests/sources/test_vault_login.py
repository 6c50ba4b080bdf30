from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tenantry.errors import CredentialUnavailableError, Failure, SourceError
from tenantry.freshness import Freshness
from tenantry.keeper import Keeper
from tenantry.refresher import Refresher
from tenantry.secret import Secret
from tenantry.settings import References
from tenantry.sources import SourceTools, kinds
from tenantry.sources.vault import VaultReference, VaultSettings, VaultSource
from tenantry.testing import VaultServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tenantry.flight import Fetch
    from tenantry.freshness import RefreshPolicy
    from tenantry.settings import SecretReference
    from tenantry.testing.vault import ManualClock
    from tenantry.testing.vault.core import VaultRequest
    from tenantry.testing.vault.envelope import Reply

LIMIT = 10.0  # seconds after which a test that hangs fails
PLANTED = "sk-planted-0123456789"
ACME = VaultReference(path="tenants/acme")


class Getter:
    """What a source needs for itself, straight from a literal, or from what took its place."""

    def __init__(self, reference: SecretReference, replaced: Mapping[str, str]) -> None:
        self._reference = reference
        self._replaced = replaced

    def get(self) -> Secret:
        said = str(self._reference.options.model_dump()["value"].get_secret_value())
        said = self._replaced.get(said, said)
        if said == "unavailable":
            raise CredentialUnavailableError(
                "(source vault)",
                reference="secret_id from env SID",
                reason="variable SID is not set (set it and start again)",
                retry_after=3.0,
            )
        return Secret(said)

    def refresh(self) -> None:
        """A literal is what it is."""


class Bench:
    """A Vault source on the same clock as the server."""

    def __init__(self, vault: VaultServer, clock: ManualClock, refresher: Refresher) -> None:
        self._vault, self._clock, self._refresher = vault, clock, refresher
        self.sessions: list[Keeper] = []
        self.replaced: dict[str, str] = {}

    def source(self, auth: Mapping[str, Any], **options: Any) -> VaultSource:
        said = {"address": self._vault.url, "auth": auth, **options}
        settings = VaultSettings.model_validate(said, context=References(kinds()))
        tools = SourceTools("vault", {}, lambda it: Getter(it, self.replaced), self._keep)
        return VaultSource(settings, tools)

    def renew(self) -> None:
        """Let the session that is due be refreshed, and wait for that."""
        flight = self.sessions[-1].prefetch()
        assert flight is not None
        flight.wait(LIMIT)

    def _keep(self, what: str, policy: RefreshPolicy, fetch: Fetch) -> Keeper:
        keeper = Keeper(fetch, self._refresher, what, policy, clock=self._clock, dice=lambda: 0.0)
        self.sessions.append(keeper)
        return keeper


@pytest.fixture
def bench(vault: VaultServer, clock: ManualClock) -> Iterator[Bench]:
    refresher = Refresher()
    yield Bench(vault, clock, refresher)
    refresher.close()


def read(source: VaultSource) -> str:
    return source.fetch(ACME, forced=False).secret(None, "api_key").reveal()


def refused(source: VaultSource) -> SourceError:
    with pytest.raises(SourceError) as caught:
        source.fetch(ACME, forced=False)
    return caught.value


def approle(vault: VaultServer, **options: Any) -> dict[str, Any]:
    role_id, secret_id = vault.approle("tenantry", policies=["tenants"], **options)
    return {"approle": {"role_id": role_id, "secret_id": {"literal": secret_id}}}


def operations(vault: VaultServer) -> list[str]:
    return [request.operation for request in vault.requests]


# -- the life of a session ------------------------------------------------------------------------


def test_a_session_is_renewed_at_two_thirds(
    vault: VaultServer, bench: Bench, clock: ManualClock
) -> None:
    """Ahead of its end a session is renewed, behind the reads, and stays the same session."""
    source = bench.source(approle(vault, token_ttl="1h"))
    read(source)
    clock.advance(2399)
    read(source)
    assert ["login", "read", "read"] == operations(vault)
    clock.advance(1)
    bench.renew()
    assert Freshness.FRESH is bench.sessions[0].freshness()
    read(source)
    assert ["renew", "read"] == operations(vault)[3:]


def test_near_its_maximum_a_session_is_replaced(
    vault: VaultServer, bench: Bench, clock: ManualClock
) -> None:
    """Where renewing buys less than half a life, a login buys a whole one."""
    source = bench.source(approle(vault, token_ttl="1h", token_max_ttl="90m"))
    read(source)
    clock.advance(2400)
    bench.renew()
    clock.advance(2000)
    bench.renew()
    assert ["login", "read", "renew", "renew", "login"] == operations(vault)
    held = bench.sessions[0].held
    assert held is not None
    assert clock.now + 3600 == held.limits.hard


def test_a_session_that_cannot_be_renewed_is_replaced(
    vault: VaultServer, bench: Bench, clock: ManualClock
) -> None:
    """A renewal that is refused turns into a login, and no read notices."""
    source = bench.source(approle(vault))
    read(source)
    vault.revoke_all_sessions()
    clock.advance(2400)
    bench.renew()
    assert PLANTED == read(source)
    assert ["login", "read", "renew", "login", "read"] == operations(vault)


def test_a_vault_that_is_down_at_renewal_costs_nothing(
    vault: VaultServer, bench: Bench, clock: ManualClock
) -> None:
    """A session that could not be renewed serves to its end, and is renewed after the outage."""
    source = bench.source(approle(vault))
    read(source)
    clock.advance(2400)
    vault.fail_next(500, times=2)
    bench.renew()
    assert PLANTED == read(source)
    clock.advance(60)
    bench.renew()
    assert ["renew", "login", "read", "renew"] == operations(vault)[2:]


def test_an_expired_session_is_replaced_before_a_read(
    vault: VaultServer, bench: Bench, clock: ManualClock
) -> None:
    """A process that slept through the life of its session logs in first."""
    source = bench.source(approle(vault))
    read(source)
    clock.advance(4000)
    assert PLANTED == read(source)
    assert ["login", "read", "renew", "login", "read"] == operations(vault)


# -- the ways to log in ---------------------------------------------------------------------------


def test_a_wrong_secret_id_is_denied_in_clear_text(
    vault: VaultServer, bench: Bench, shown: Callable[[BaseException, str], bool]
) -> None:
    """Vault's own words are shown, the secret id is not; within the back-off nobody tries again."""
    auth = approle(vault)
    auth["approle"]["secret_id"] = {"literal": PLANTED}
    source = bench.source(auth)
    error = refused(source)
    assert Failure.DENIED is error.failure
    assert f"cannot log in to Vault at {vault.url}: invalid" in str(error)
    assert "check the role and its secret" in error.hint
    assert not shown(error, PLANTED)
    assert 0 < (refused(source).retry_after or 0) <= 30.0
    assert 1 == vault.count("login")


def test_a_secret_id_that_cannot_be_had_is_named(vault: VaultServer, bench: Bench) -> None:
    """Where the source's own secret is missing, the error says which, and when it is tried next."""
    auth = approle(vault)
    auth["approle"]["secret_id"] = {"literal": "unavailable"}
    error = refused(bench.source(auth))
    expected = "its secret_id from env SID: variable SID is not set (set it and start again)"
    assert f"cannot log in to Vault at {vault.url}: {expected}" == str(error)
    assert (Failure.TRANSIENT, 3.0) == (error.failure, error.retry_after)


def test_an_approle_may_be_mounted_elsewhere(vault: VaultServer, bench: Bench) -> None:
    """The mount of the auth method can be named."""
    auth = approle(vault, mount="team-approle")
    auth["approle"]["mount"] = "team-approle"
    assert PLANTED == read(bench.source(auth))


def test_a_token_is_looked_up_and_renewed(
    vault: VaultServer, bench: Bench, clock: ManualClock
) -> None:
    """A token that expires is renewed at two thirds of what it had left."""
    source = bench.source({"token": {"literal": vault.token(policies=["tenants"], ttl="1h")}})
    assert PLANTED == read(source)
    clock.advance(2400)
    bench.renew()
    assert PLANTED == read(source)
    assert ["lookup", "read", "renew", "read"] == operations(vault)


def test_a_token_that_is_not_renewable_is_looked_up_again(
    vault: VaultServer, bench: Bench, clock: ManualClock
) -> None:
    """What cannot be renewed is read anew: somebody may have put another in its place."""
    token = vault.token(policies=["tenants"], ttl="1h", renewable=False)
    source = bench.source({"token": {"literal": token}})
    read(source)
    clock.advance(2400)
    bench.renew()
    assert ["lookup", "read", "lookup"] == operations(vault)


def test_a_token_that_never_ends_is_believed_for_an_hour(
    vault: VaultServer, bench: Bench, clock: ManualClock
) -> None:
    """A root token has no life; it is looked up again every hour."""
    source = bench.source({"token": {"literal": vault.root_token}})
    assert PLANTED == read(source)
    clock.advance(3000)
    assert Freshness.FRESH is bench.sessions[0].freshness()
    clock.advance(600)
    bench.renew()
    assert ["lookup", "read", "lookup"] == operations(vault)


def test_a_token_file_is_read_at_login(
    vault: VaultServer, bench: Bench, clock: ManualClock, tmp_path: Path
) -> None:
    """An agent that replaced its token is followed at the first refusal."""
    file = tmp_path / "token"
    first, second = (vault.token(policies=["tenants"]) for _ in range(2))
    file.write_text(f"{first}\n")
    source = bench.source({"token_file": str(file)})
    read(source)
    clock.advance(30)
    vault.revoke_token(first)
    file.write_text(f"{second}\n")
    assert PLANTED == read(source)
    assert ["lookup", "read", "read", "lookup", "read"] == operations(vault)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file or directory"),
        ("", "the value is empty"),
        (f"{PLANTED}\n{PLANTED}", "the value holds a line break"),
    ],
)
def test_an_unusable_token_file_is_named(
    bench: Bench,
    tmp_path: Path,
    shown: Callable[[BaseException, str], bool],
    content: str | None,
    words: str,
) -> None:
    """A file that is missing, empty or no token is named, and nothing of it shown."""
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    error = refused(bench.source({"token_file": str(file)}))
    assert f"token file {file}" in str(error)
    assert words in str(error)
    assert not shown(error, PLANTED)


def test_a_pod_logs_in_as_its_service_account(
    vault: VaultServer, bench: Bench, clock: ManualClock, tmp_path: Path
) -> None:
    """The service account's token is read at each login, which Kubernetes replaces in its file."""
    file = tmp_path / "token"
    file.write_text("jwt-1")
    vault.kubernetes_role("tenantry", jwt="jwt-1", policies=["tenants"])
    auth = {"kubernetes": {"role": "tenantry", "token_file": str(file)}}
    source = bench.source(auth)
    assert PLANTED == read(source)
    vault.kubernetes_role("tenantry", jwt="jwt-2", policies=["tenants"])
    vault.revoke_all_sessions()
    clock.advance(30)
    file.write_text("jwt-2")
    assert PLANTED == read(source)
    file.write_text("wrong")
    error = refused(bench.source(auth))
    assert Failure.DENIED is error.failure
    file.unlink()
    assert "cannot be read" in str(refused(bench.source(auth)))


def test_a_token_of_another_issuer_logs_in(
    vault: VaultServer, bench: Bench, clock: ManualClock, tmp_path: Path
) -> None:
    """A JWT comes from a secret, or from a file that is read at each login."""
    vault.jwt_role("tenantry", jwt="jwt-1", policies=["tenants"], mount="ci")
    named = {"role": "tenantry", "mount": "ci"}
    assert PLANTED == read(bench.source({"jwt": {**named, "token": {"literal": "jwt-1"}}}))
    file = tmp_path / "token"
    file.write_text("jwt-1\n")
    source = bench.source({"jwt": {**named, "token_file": str(file)}})
    assert PLANTED == read(source)
    vault.jwt_role("tenantry", jwt="jwt-2", policies=["tenants"], mount="ci")
    vault.revoke_all_sessions()
    clock.advance(30)
    file.write_text("jwt-2\n")
    assert PLANTED == read(source)


def test_a_user_logs_in_with_a_password(
    vault: VaultServer, bench: Bench, shown: Callable[[BaseException, str], bool]
) -> None:
    """A wrong password is denied in Vault's words, and the password is not shown."""
    vault.userpass("alice", "right", ["tenants"])
    auth = {"userpass": {"username": "alice", "password": {"literal": "right"}}}
    assert PLANTED == read(bench.source(auth))
    bench.replaced["right"] = "wrong-0123456789"
    error = refused(bench.source(auth))
    assert Failure.DENIED is error.failure
    assert f"cannot log in to Vault at {vault.url}: invalid username or password" in str(error)
    assert not shown(error, "wrong-0123456789")


@pytest.mark.parametrize("name", ["alice@example.test", "ops team?a=1#b"])
def test_a_users_name_is_sent_as_it_is(vault: VaultServer, bench: Bench, name: str) -> None:
    """What a URL would give another meaning arrives as it was written."""
    vault.userpass(name, "right", ["tenants"])
    auth = {"userpass": {"username": name, "password": {"literal": "right"}}}
    assert PLANTED == read(bench.source(auth))


class Agent(VaultServer):
    """A Vault Agent with auto-auth: it sends requests that have no token on with its own."""

    async def _answer(self, request: VaultRequest) -> Reply:
        assert request.token is None
        return await super()._answer(replace(request, token=self.root_token))


@pytest.mark.parametrize("auth", ["agent", {"agent": {}}, {"agent": None}])
def test_an_agent_logs_in_for_us(clock: ManualClock, auth: Any) -> None:
    """With an agent no token is sent, no session is kept, and its refusals are believed."""
    refresher = Refresher()
    with Agent(clock=clock) as server:
        server.put("tenants/acme", {"api_key": PLANTED})
        server.dynamic_role("openai", ttl=600)
        bench = Bench(server, clock, refresher)
        source = bench.source(auth)
        assert PLANTED == read(source)
        dynamic = VaultReference(path="creds/openai", mount="database", engine="dynamic")
        assert 600.0 == source.fetch(dynamic, forced=False).lifetime
        server.fail_next(403)
        assert Failure.DENIED is refused(source).failure
        assert ([], ["read", "mint", "read"]) == (bench.sessions, operations(server))


# -- the end ------------------------------------------------------------------------------------


def test_a_closed_source_lets_go_of_its_sockets(vault: VaultServer, bench: Bench) -> None:
    """After `close` no connection is kept."""
    source = bench.source(approle(vault))
    read(source)
    source.close()
    pools: Any = source._http.get_adapter(vault.url)
    assert 0 == len(pools.poolmanager.pools)
