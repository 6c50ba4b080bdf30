"""AppRole secret ids that arrive response-wrapped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hvac
import pytest

from tenantry.errors import CredentialUnavailableError, Failure, SourceError
from tenantry.secret import Secret
from tenantry.sources.vault import VaultSettings, _client, _connections
from tenantry.sources.vault_auth import AppRole
from tenantry.sources.vault_wrapping import WrappedSecretId

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sources.conftest import Bench as Opened

    from tenantry.testing import VaultServer
    from tenantry.testing.vault import ManualClock

PLANTED = "sk-planted-0123456789"


class Getter:
    """A wrapping token at its source."""

    def __init__(self) -> None:
        self.value = "unset"

    def get(self) -> Secret:
        if self.value == "unset":
            raise CredentialUnavailableError(
                "(source vault)", reference="secret_id from env SID", reason="no", retry_after=3.0
            )
        return Secret(self.value)

    def refresh(self) -> None:
        """The value is what it is."""


class Bench:
    def __init__(self, vault: VaultServer) -> None:
        self.vault, self.held, self.namespace = vault, Getter(), ""

    def wrapped(self, **said: Any) -> WrappedSecretId:
        read = {"role_id": "x", "secret_id": Secret, "wrapped": True, "mount": "approle", **said}
        return WrappedSecretId(AppRole.model_construct(**read), self.held, self._client)

    def refused(self, wrapped: WrappedSecretId) -> SourceError:
        with pytest.raises(SourceError) as caught:
            wrapped.secret_id()
        return caught.value

    def _client(self, token: str) -> Any:
        said = {"address": self.vault.url, "auth": "agent", "namespace": self.namespace or None}
        settings = VaultSettings.model_validate(said)
        return _client(settings, token, _connections(settings))


@pytest.fixture
def bench(vault: VaultServer) -> Bench:
    vault.approle("tenantry", policies=["tenants"])
    return Bench(vault)


def paths(vault: VaultServer) -> list[str]:
    return [request.path for request in vault.requests]


def test_it_is_unwrapped_once(vault: VaultServer, bench: Bench) -> None:
    """Where it was made is looked at first; then it is unwrapped, and held for later logins."""
    bench.held.value = vault.new_secret_id("tenantry", "10m")
    wrapped = bench.wrapped()
    found = wrapped.secret_id()
    assert (found, found) == (wrapped.secret_id(), wrapped.secret_id())
    assert ["sys/wrapping/lookup", "sys/wrapping/unwrap"] == paths(vault)
    assert ["none", "wrapping"] == [request.caller for request in vault.requests]


def test_another_wrapping_token_is_unwrapped_anew(vault: VaultServer, bench: Bench) -> None:
    """A token that changed at its source brings another secret id."""
    bench.held.value = vault.new_secret_id("tenantry", "10m")
    wrapped = bench.wrapped()
    before = wrapped.secret_id()
    bench.held.value = vault.new_secret_id("tenantry", "10m")
    after = wrapped.secret_id()
    assert (True, after) == (before != after, wrapped.secret_id())
    assert 4 == len(paths(vault))


def test_one_that_was_used_raises_the_alarm(
    vault: VaultServer, bench: Bench, shown: Callable[[BaseException, str], bool]
) -> None:
    """A wrapping token that somebody else used is denied, and the error says so."""
    bench.held.value = vault.new_secret_id("tenantry", "10m")
    bench.wrapped().secret_id()
    error = bench.refused(bench.wrapped())
    assert Failure.DENIED is error.failure
    assert "the wrapping token of its secret_id is not valid any more" == error.reason
    assert "somebody else may have unwrapped it" in error.hint
    assert not shown(error, bench.held.value)


def test_one_that_is_taken_meanwhile_raises_the_alarm(
    vault: VaultServer, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is faster between the look and the unwrapping is noticed too."""
    bench.held.value = vault.new_secret_id("tenantry", "10m")
    original = hvac.Client.write_data

    def look(client: Any, path: str, *, data: Any) -> Any:
        reply = original(client, path, data=data)
        bench._client(bench.held.value).sys.unwrap()
        return reply

    monkeypatch.setattr(hvac.Client, "write_data", look)
    assert "somebody else may have unwrapped it" in bench.refused(bench.wrapped()).hint


def test_one_that_expired_is_denied(vault: VaultServer, bench: Bench, clock: ManualClock) -> None:
    """Vault does not tell an expired token from a used one, and neither does the error."""
    bench.held.value = vault.new_secret_id("tenantry", "10m")
    clock.advance(601)
    assert "it has expired, or somebody else" in bench.refused(bench.wrapped()).hint


def test_a_vault_that_fails_is_no_alarm(vault: VaultServer, bench: Bench) -> None:
    """While Vault is sealed nothing is lost: the next login unwraps."""
    bench.held.value = vault.new_secret_id("tenantry", "10m")
    wrapped = bench.wrapped()
    vault.seal()
    assert Failure.TRANSIENT is bench.refused(wrapped).failure
    vault.unseal()
    assert wrapped.secret_id()


def test_a_token_that_cannot_be_had_is_named(bench: Bench) -> None:
    """Where the wrapping token itself is missing, the error says which it is."""
    assert "its secret_id from env SID: no" == bench.refused(bench.wrapped()).reason


@pytest.mark.parametrize(
    ("said", "accepted"),
    [
        ({}, True),
        ({"role_name": "tenantry"}, True),
        ({"role_name": "tenant.y"}, False),
        ({"role_name": "other"}, False),
        ({"mount": "elsewhere"}, False),
        ({"mount": "/approle/"}, True),
    ],
)
def test_where_it_was_made_is_checked(
    vault: VaultServer, bench: Bench, said: dict[str, str], accepted: bool
) -> None:
    """It is from the mount that is logged in to, and from the role where one is named."""
    bench.held.value = vault.new_secret_id("tenantry", "10m")
    wrapped = bench.wrapped(**said)
    if accepted:
        assert wrapped.secret_id()
        return
    error = bench.refused(wrapped)
    assert Failure.DENIED is error.failure
    assert "was made at 'auth/approle/role/tenantry/secret-id', not by its role" in error.reason
    assert "somebody may have exchanged it" in error.hint
    assert ["sys/wrapping/lookup"] == paths(vault)


@pytest.mark.parametrize("path", ["sys/wrapping/wrap", "secret/auth/approle/role/x/secret-id"])
def test_what_others_wrapped_is_not_unwrapped(
    vault: VaultServer, bench: Bench, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """A value that somebody wrapped again, or that lies under a lookalike path, is refused."""
    root = bench._client(vault.root_token)
    vault.mount("secret/auth", version=1)
    vault.put("approle/role/x/secret-id", {"secret_id": "theirs"}, mount="secret/auth")
    said = {"path": path, "wrap_ttl": "10m"}
    if path.startswith("sys/"):
        reply = root.write_data(said["path"], data={"secret_id": "theirs"}, wrap_ttl="10m")
    else:
        reply = root.read(path, wrap_ttl="10m")
    bench.held.value = reply["wrap_info"]["token"]
    assert f"was made at '{path}'" in bench.refused(bench.wrapped()).reason


def test_a_namespace_may_stand_before_the_path(vault: VaultServer, bench: Bench) -> None:
    """Within a namespace a path is right with and without its name."""
    bench.namespace = "team-a"
    wrapped = bench.wrapped()
    place = wrapped._place("team-a")
    right = ["auth/approle/role/x/secret-id", "team-a/auth/approle/role/x/secret-id"]
    wrong = ["team-b/auth/approle/role/x/secret-id", "team-a/secret/auth/approle/role/x/secret-id"]
    assert right == [path for path in (*right, *wrong) if place.fullmatch(path)]
    vault.add_namespace("team-a")
    vault.approle("tenantry", namespace="team-a")
    bench.held.value = vault.new_secret_id("tenantry", "10m", namespace="team-a")
    assert wrapped.secret_id()


def test_a_source_logs_in_with_it(vault: VaultServer, opened: Callable[..., Opened]) -> None:
    """A source that is given a wrapping token unwraps, logs in, and does so again from memory."""
    role_id, _ = vault.approle("tenantry", policies=["tenants"])
    token = vault.new_secret_id("tenantry", "10m")
    approle = {"role_id": role_id, "secret_id": {"literal": token}, "wrapped": True}
    bench = opened({"vault": {"address": vault.url, "auth": {"approle": approle}}})
    assert PLANTED == bench.value({"vault": "tenants/acme"})
    source: Any = bench.secrets._source("vault").opened()
    source._session.keeper.refresh().wait(10.0)
    assert None is source._session.keeper.error
    assert (2, 1) == (vault.count("login"), paths(vault).count("sys/wrapping/unwrap"))
    error = opened({"vault": {"address": vault.url, "auth": {"approle": approle}}}).error(
        {"vault": "tenants/acme"}
    )
    expected = "the wrapping token of its secret_id is not valid any more (it has expired, or"
    assert f"cannot log in to Vault at {vault.url}: {expected}" in str(error)
