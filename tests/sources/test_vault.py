from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import hvac
import pytest
from pydantic import ValidationError

from tenantry.errors import CredentialUnavailableError, Failure
from tenantry.sources import vault as vault_module
from tenantry.sources.session import BELIEVED, Session
from tenantry.sources.vault import MINTS, VaultReference, VaultSource
from tenantry.testing import VaultServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sources.conftest import Bench

PLANTED = "sk-planted-0123456789"
ACME = {"vault": "tenants/acme"}
GLOBEX = {"vault": "globex"}


@pytest.fixture
def bench(opened: Callable[..., Bench], vault_settings: dict[str, Any]) -> Bench:
    return opened({"vault": vault_settings})


def source_of(bench: Bench) -> VaultSource:
    source = bench.secrets._source("vault").opened()
    assert isinstance(source, VaultSource)
    return source


def session_of(bench: Bench) -> Session:
    session = source_of(bench)._session
    assert session is not None
    return session


def grow_old(bench: Bench) -> None:
    """Let the session be as old as one whose refusals are doubted."""
    session_of(bench).keeper.clock = lambda: time.monotonic() + BELIEVED


# -- documents ------------------------------------------------------------------------------------


def test_the_latest_version_is_read(vault: VaultServer, bench: Bench) -> None:
    """A KV 2 secret is the newest version, which names itself, and does not expire."""
    assert PLANTED == bench.value(ACME)
    vault.put("tenants/acme", {"api_key": "newer"})
    document = bench.fetch(ACME)
    assert ("2", None) == (document.version, document.lifetime)
    assert "newer" == bench.value(ACME)


def test_a_version_can_be_pinned(vault: VaultServer, bench: Bench) -> None:
    """A reference that names a version keeps to it."""
    vault.put("tenants/acme", {"api_key": "newer"})
    pinned = {"vault": {"path": "tenants/acme", "version": 1}}
    assert (PLANTED, "1") == (bench.value(pinned), bench.fetch(pinned).version)


def test_what_is_deleted_or_was_never_there_is_absent(vault: VaultServer, bench: Bench) -> None:
    """A deleted version, a destroyed one and an unknown path are absent, and the path is named."""
    vault.put("tenants/gone", {"api_key": "x"})
    vault.delete("tenants/gone")
    vault.put("tenants/destroyed", {"api_key": "x"})
    vault.destroy("tenants/destroyed")
    for name in ("gone", "destroyed", "never"):
        error = bench.error({"vault": f"tenants/{name}"})
        assert Failure.ABSENT is error.failure
        assert f"secret/tenants/{name}: there is no such secret (status 404)" in str(error)


def test_another_mount_can_be_named(vault: VaultServer, opened: Callable[..., Bench]) -> None:
    """The reference's mount counts before the source's; a KV 1 engine has no versions."""
    vault.mount("kv", version=1)
    vault.mount("team")
    vault.put("one", {"api_key": "first"}, mount="kv")
    vault.put("two", {"api_key": "second"}, mount="team")
    token = {"token": {"literal": vault.root_token}}
    bench = opened({"vault": {"address": vault.url, "auth": token, "mount": "team"}})
    one = {"vault": {"path": "one", "mount": "kv", "engine": "kv1"}}
    assert ("first", "") == (bench.value(one), bench.fetch(one).version)
    assert "second" == bench.value({"vault": "two"})


def test_a_dynamic_credential_lives_as_long_as_its_lease(vault: VaultServer, bench: Bench) -> None:
    """Minted credentials bear their lease's id and its life."""
    vault.dynamic_role("openai", mint=lambda role, number: {"api_key": f"{role}-{number}"}, ttl=600)
    said = {"vault": {"path": "creds/openai", "mount": "database", "engine": "dynamic"}}
    document = bench.fetch(said)
    assert ("openai-1", 600.0) == (document.secret(None, "api_key").reveal(), document.lifetime)
    assert vault.leases == (document.version,)
    assert "openai-2" == bench.value(said)


def test_a_lease_does_not_outlive_its_session(vault: VaultServer, bench: Bench) -> None:
    """A lease dies with the session that made it: its life is what the session has left."""
    vault.dynamic_role("openai", ttl="24h")
    said = {"vault": {"path": "creds/openai", "mount": "database", "engine": "dynamic"}}
    lifetime = bench.fetch(said).lifetime
    assert lifetime is not None
    assert 3500.0 < lifetime <= 3600.0


def test_few_are_minted_at_a_time(
    vault: VaultServer, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many who need a dynamic credential at once ask Vault for two at a time."""
    vault.dynamic_role("openai", ttl=600)
    said = {"vault": {"path": "creds/openai", "mount": "database", "engine": "dynamic"}}
    together, count, busy = threading.Barrier(MINTS, timeout=10), threading.Lock(), [0]
    most, original = [0], hvac.Client.read

    def read(client: Any, path: str) -> Any:
        with count:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        together.wait()
        with count:
            busy[0] -= 1
        return original(client, path)

    monkeypatch.setattr(hvac.Client, "read", read)
    with ThreadPoolExecutor(6) as threads:
        versions = set(threads.map(lambda _: bench.fetch(said).version, range(6)))
    assert (MINTS, 6, set(vault.leases)) == (most[0], len(versions), versions)


def test_who_waits_too_long_to_mint_is_told(
    vault: VaultServer, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place that does not become free in time is a transient failure, and nothing is minted."""
    vault.dynamic_role("openai", ttl=600)
    monkeypatch.setattr(vault_module, "MINT_WAIT", 0.0)
    said = {"vault": {"path": "creds/openai", "mount": "database", "engine": "dynamic"}}
    for _ in range(MINTS):
        source_of(bench)._minting.acquire()
    error = bench.error(said)
    assert (Failure.TRANSIENT, ()) == (error.failure, vault.leases)
    assert "database/creds/openai: 2 others are being minted" in str(error)


def test_namespaces_are_kept_apart(vault: VaultServer, opened: Callable[..., Bench]) -> None:
    """A source reads and logs in within its namespace, and nowhere else."""
    vault.add_namespace("team-a")
    readable = 'path "secret/data/*" { capabilities = ["read"] }'
    vault.add_policy("tenants", readable, namespace="team-a")
    vault.put("tenants/acme", {"api_key": "theirs"}, namespace="team-a")
    role_id, secret_id = vault.approle("tenantry", policies=["tenants"], namespace="team-a")
    approle = {"role_id": role_id, "secret_id": {"literal": secret_id}}
    said = {"address": vault.url, "auth": {"approle": approle}, "namespace": "team-a"}
    assert "theirs" == opened({"vault": said}).value(ACME)
    assert {"team-a/"} == {request.namespace for request in vault.requests}
    del said["namespace"]
    assert Failure.DENIED is opened({"vault": said}).error(ACME).failure


@pytest.mark.parametrize(
    "said",
    [
        {"path": "tenants/acme/../globex"},
        {"path": ".."},
        {"path": "./x"},
        {"path": "a/%2e%2E/b"},
        {"path": "x", "mount": "secret/../other"},
        {"path": ""},
        {"path": "x", "version": 0},
        {"path": "x", "engine": "kv3"},
    ],
)
def test_a_path_cannot_leave_its_place(said: dict[str, Any]) -> None:
    """Dot segments would be resolved on the way to Vault: they are a configuration error."""
    with pytest.raises(ValidationError):
        VaultReference.model_validate(said)


def test_how_a_reference_is_shown() -> None:
    """A reference is its path, and its mount where it names one."""
    assert "tenants/acme" == str(VaultReference(path="tenants/acme"))
    assert "kv/tenants/acme" == str(VaultReference(path="tenants/acme", mount="kv"))


# -- sessions -------------------------------------------------------------------------------------


def test_one_session_serves_all(vault: VaultServer, bench: Bench) -> None:
    """Thirty reads, some at the same time, need one login."""
    with ThreadPoolExecutor(10) as threads:
        assert {PLANTED} == set(threads.map(lambda _: bench.value(ACME), range(30)))
    assert (1, 30) == (vault.count("login"), vault.count("read"))


def test_a_revoked_session_costs_one_login_and_a_second_read(
    vault: VaultServer, bench: Bench
) -> None:
    """A 403 is not believed before a login and another read."""
    bench.fetch(ACME)
    grow_old(bench)
    vault.revoke_all_sessions()
    vault.clear_requests()
    assert PLANTED == bench.value(ACME)
    assert ["read", "login", "read"] == [request.operation for request in vault.requests]


def test_many_who_lost_their_session_share_one_login(vault: VaultServer, bench: Bench) -> None:
    """Ten readers that are refused at the same time log in once."""
    bench.fetch(ACME)
    grow_old(bench)
    vault.revoke_all_sessions()
    vault.clear_requests()
    with ThreadPoolExecutor(10) as threads:
        assert {PLANTED} == set(threads.map(lambda _: bench.value(ACME), range(10)))
    assert 1 == vault.count("login")


def test_a_policys_refusal_is_believed_after_one_login(vault: VaultServer, bench: Bench) -> None:
    """What a fresh session may not read either is denied, and so is the next path at once."""
    vault.put("globex", {"api_key": "x"})
    bench.fetch(ACME)
    grow_old(bench)
    vault.clear_requests()
    error = bench.error(GLOBEX)
    assert Failure.DENIED is error.failure
    assert "secret/globex: 1 error occurred: * permission denied (status 403)" in str(error)
    assert "policy" in error.hint
    assert ["read", "login", "read"] == [request.operation for request in vault.requests]
    assert Failure.DENIED is bench.error({"vault": "initech"}).failure
    assert (1, 3) == (vault.count("login"), vault.count("read"))


def test_a_refused_static_token_is_not_tried_twice(
    vault: VaultServer, opened: Callable[..., Bench]
) -> None:
    """Where logging in brings the same token, the refusal stands."""
    vault.put("globex", {"api_key": "x"})
    auth = {"token": {"literal": vault.token(policies=["tenants"])}}
    bench = opened({"vault": {"address": vault.url, "auth": auth}})
    assert Failure.DENIED is bench.error(GLOBEX).failure
    assert 1 == vault.count("read")


# -- what goes wrong ------------------------------------------------------------------------------


def test_a_sealed_vault_passes(vault: VaultServer, bench: Bench) -> None:
    """Sealed is transient: what is held serves, and Vault is asked again."""
    credential = bench.credential(ACME)
    credential.get()
    vault.seal()
    with pytest.raises(CredentialUnavailableError, match="sealed"):
        credential.refresh()
    assert PLANTED == credential.get().reveal()
    vault.unseal()
    credential.refresh()


def test_a_login_while_sealed_passes(vault: VaultServer, bench: Bench) -> None:
    """A new process learns that it cannot log in, and why."""
    vault.seal()
    error = bench.error(ACME)
    assert Failure.TRANSIENT is error.failure
    expected = "it is sealed or not available (status 503) (unseal it, or wait"
    assert f"cannot log in to Vault at {vault.url}: {expected}" in str(error)
    assert error.retry_after is not None


def test_a_quota_says_when_to_come_back(vault: VaultServer, bench: Bench) -> None:
    """429 is transient, and its Retry-After is kept."""
    bench.fetch(ACME)
    vault.fail_next(429, retry_after=17)
    error = bench.error(ACME)
    assert (Failure.TRANSIENT, 17.0) == (error.failure, error.retry_after)


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (400, Failure.DENIED),
        (405, Failure.DENIED),
        (412, Failure.TRANSIENT),
        (472, Failure.TRANSIENT),
        (473, Failure.TRANSIENT),
        (500, Failure.TRANSIENT),
        (502, Failure.TRANSIENT),
        (504, Failure.TRANSIENT),
    ],
)
def test_what_a_status_means(
    vault: VaultServer, bench: Bench, status: int, failure: Failure
) -> None:
    """Every status has its class, those that hvac does not know included."""
    bench.fetch(ACME)
    vault.fail_next(status, times=2, path="secret/")
    error = bench.error(ACME)
    assert failure is error.failure
    assert f"(status {status})" in str(error)


def test_a_standby_node_does_not_get_the_token_sent_on(vault: VaultServer, bench: Bench) -> None:
    """A redirect is not followed, to whatever host it points: the token goes nowhere."""
    bench.fetch(ACME)
    with VaultServer() as elsewhere:
        vault.standby(elsewhere.url)
        error = bench.error(ACME)
        assert () == elsewhere.requests
    assert Failure.TRANSIENT is error.failure
    assert "redirects are not followed" in str(error)
    assert "active node or a load balancer" in error.hint


def test_a_page_of_a_proxy_is_no_secret(vault: VaultServer, bench: Bench) -> None:
    """A 200 with HTML is transient, and the error asks whether the address is Vault's."""
    bench.fetch(ACME)
    vault.reply_html_next()
    error = bench.error(ACME)
    assert Failure.TRANSIENT is error.failure
    assert "is the address Vault's" in error.hint


def test_nobody_at_the_address_passes(vault: VaultServer, bench: Bench) -> None:
    """Whoever cannot be reached is named with the address; the next read finds it again."""
    bench.fetch(ACME)
    url = vault.url
    vault.stop()
    error = bench.error(ACME)
    assert Failure.TRANSIENT is error.failure
    assert f"Vault at {url} cannot be reached" in str(error)
    vault.start()
    assert PLANTED == bench.value(ACME)


def test_a_vault_that_hangs_is_left_in_time(
    vault: VaultServer, opened: Callable[..., Bench], vault_settings: dict[str, Any]
) -> None:
    """The time limit of the source bounds a read."""
    bench = opened({"vault": {**vault_settings, "timeout": {"read": "50ms"}}})
    vault.slow(30.0, path="secret/")
    error = bench.error(ACME)
    assert Failure.TRANSIENT is error.failure
    assert f"Vault at {vault.url} did not answer in time" == str(error)


def test_no_failure_shows_a_secret(
    vault: VaultServer,
    bench: Bench,
    vault_settings: dict[str, Any],
    shown: Callable[[BaseException, str], bool],
) -> None:
    """Neither key, token nor secret id is in any text or log, at the most talkative level."""
    secret_id = vault_settings["auth"]["approle"]["secret_id"]["literal"]
    credential = bench.credential(ACME)
    secrets = [credential.get().reveal(), secret_id]
    held = session_of(bench).keeper.held
    assert held is not None
    secrets.append(held.document.secret("token", "").reveal())
    for status in (400, 403, 404, 429, 500, 503):
        vault.fail_next(status, times=3)
        with pytest.raises(CredentialUnavailableError) as caught:
            credential.refresh()
        assert not any(shown(caught.value, secret) for secret in secrets)
    assert not any(secret in repr(credential.status()) for secret in secrets)
