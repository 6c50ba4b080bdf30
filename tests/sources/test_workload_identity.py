from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from openai import OpenAI
from openai.auth import WorkloadIdentity

from tenantry.errors import Failure, SourceError
from tenantry.freshness import RefreshPolicy
from tenantry.settings import SecretReference, TenantSettings
from tenantry.sources import WORKLOAD_IDENTITY, kinds
from tenantry.sources.workload_identity import WorkloadIdentityReference, WorkloadIdentitySource
from tenantry.testing import OpenAIServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.sources.conftest import Bench

    from tenantry.credential import Credential

SUBJECT = "subject-0123456789"

# 2.31 demands a `client_id`, and sends it along; later versions have none.
CLIENT_ID = "client_1" if "client_id" in WorkloadIdentity.__required_keys__ else None


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


class Identity:
    """A tenant with a workload identity, and the environment that its subject token is in."""

    def __init__(self, bench: Bench, environ: dict[str, str], url: str) -> None:
        self.bench, self.environ, self.url = bench, environ, url

    def credential(self, tenant: str = "acme", account: str = "acme") -> Credential:
        said = {
            "identity_provider_id": "idp_1",
            "service_account_id": account,
            "subject_token": {"env": "SUBJECT"},
            "token_exchange_url": self.url,
            "client_id": CLIENT_ID,
        }
        settings = TenantSettings.model_validate(
            {"workload_identity": said}, context=self.bench.references
        )
        return self.bench.secrets.credentials(tenant, settings)["workload_identity"]

    def fetch(self, *, forced: bool = False) -> Any:
        return self.bench.secrets._source(WORKLOAD_IDENTITY.name).fetch(
            self.options(), forced=forced
        )

    def options(self) -> WorkloadIdentityReference:
        subject = self.bench.reference({"env": "SUBJECT"}, "subject_token")
        return WorkloadIdentityReference(
            identity_provider_id="idp_1",
            service_account_id="acme",
            subject_token=subject,
            token_exchange_url=self.url,
            client_id=CLIENT_ID,
        )

    def error(self) -> SourceError:
        with pytest.raises(SourceError) as caught:
            self.fetch(forced=True)
        return caught.value


@pytest.fixture
def identity(server: OpenAIServer, opened: Callable[..., Bench]) -> Identity:
    environ = {"SUBJECT": SUBJECT}
    return Identity(opened(environ=environ), environ, server.token_exchange_url)


def test_a_subject_token_is_exchanged_once(server: OpenAIServer, identity: Identity) -> None:
    """Two tenants with one identity share one exchange, and its token is a valid key."""
    token = identity.credential().get().reveal()
    assert token == identity.credential("globex").get().reveal()
    assert 1 == server.exchanges
    with OpenAI(base_url=server.base_url, api_key=token, max_retries=0) as client:
        client.models.list()
    assert SUBJECT == server.requests[0].json()["subject_token"]


def test_identities_are_kept_apart(server: OpenAIServer, identity: Identity) -> None:
    """Two service accounts never share a token."""
    first, second = identity.credential(), identity.credential(account="globex")
    assert first.get() != second.get()
    assert 2 == server.exchanges


def test_a_rejected_token_is_exchanged_again(server: OpenAIServer, identity: Identity) -> None:
    """After a 401 the SDK's own cache does not answer."""
    credential = identity.credential()
    used = credential.get()
    better = credential.keeper.replacement(used, credential.readable)
    assert better is not None
    assert credential.readable(better) not in (None, used)
    assert 2 == server.exchanges


def test_a_token_has_an_end(server: OpenAIServer, identity: Identity) -> None:
    """What the SDK knows of the token's life bounds how long it is served."""
    server.token_lifetime = 900.0
    lifetime = identity.fetch().lifetime
    assert 890.0 < lifetime <= 900.0


def test_the_sdk_is_asked_again_without_an_exchange(
    server: OpenAIServer, identity: Identity
) -> None:
    """A fetch that nobody forced takes what the SDK has."""
    first = identity.fetch()
    assert first.same_content(identity.fetch())
    assert 1 == server.exchanges


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refused_exchange_is_denied(
    server: OpenAIServer,
    identity: Identity,
    shown: Callable[[BaseException, str], bool],
    status: int,
) -> None:
    """A refusal will not change by asking often; the subject token is not shown."""
    server.fail_next(status, path="/oauth/token")
    error = identity.error()
    assert Failure.DENIED is error.failure
    assert "the token exchange failed with OAuthError" in str(error)
    assert "identity_provider_id" in error.hint
    assert not shown(error, SUBJECT)


def test_an_outage_passes(server: OpenAIServer, identity: Identity) -> None:
    """A service that fails or is not there is asked again soon."""
    server.fail_next(503, path="/oauth/token")
    assert Failure.TRANSIENT is identity.error().failure
    server.stop()
    error = identity.error()
    assert Failure.TRANSIENT is error.failure
    assert "the token exchange failed with ConnectError" in str(error)


def test_a_subject_token_that_cannot_be_had_is_named(identity: Identity) -> None:
    """Where the subject token is missing, the error says so, and nothing is exchanged."""
    identity.environ.clear()
    error = identity.error()
    assert "subject_token from env SUBJECT: variable SUBJECT is not set" in str(error)
    assert error.retry_after is not None


def test_an_sdk_that_wants_more_is_named(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the SDK demands a `client_id` and there is none, the error says the ways out."""
    monkeypatch.setattr(WorkloadIdentity, "__required_keys__", frozenset({"client_id"}))
    monkeypatch.setattr(sys.modules[__name__], "CLIENT_ID", None)
    error = identity.error()
    assert Failure.DENIED is error.failure
    assert "pip install --upgrade openai" in str(error)


def test_a_child_exchanges_for_itself(server: OpenAIServer, identity: Identity) -> None:
    """After a fork an exchange of the parent, which never ends here, is not waited for."""
    identity.fetch()
    source = identity.bench.secrets._source(WORKLOAD_IDENTITY.name).opened()
    assert isinstance(source, WorkloadIdentitySource)
    [auth] = source._held.values()
    auth._refreshing, auth._cached_token = True, None
    source.after_fork()
    identity.fetch()
    assert 2 == server.exchanges


def test_it_is_not_written_as_a_reference(identity: Identity) -> None:
    """The kind is not among those that a configuration may name; it knows what it is made of."""
    assert WORKLOAD_IDENTITY.name not in kinds()
    nested = identity.options().nested()
    assert ["env"] == [each.source for each in nested]
    assert "workload_identity acme" == str(
        SecretReference(WORKLOAD_IDENTITY.name, identity.options())
    )
    assert RefreshPolicy() == TenantSettings.model_fields["refresh"].default.policy()
