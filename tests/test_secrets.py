from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tenantry.errors import CredentialUnavailableError, SourceError
from tenantry.events import Event, EventStream, RefreshFailed, SecretRefreshed, SecretRotated
from tenantry.loading import load
from tenantry.secret import Document
from tenantry.secrets import Secrets
from tenantry.settings import ReferenceOptions, SourceSettings
from tenantry.sources import SourceKind, SourceTools, kinds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tenantry.credential import Credential
    from tenantry.freshness import RefreshPolicy

LIMIT = 10.0  # seconds after which a test that hangs fails


class SafeReference(ReferenceOptions):
    """`{safe: NAME}`."""

    main = "name"

    name: str


class SafeSettings(SourceSettings):
    """How to open a safe."""

    code: str = "0000"


class Safe:
    """A source that counts, and answers what the test says."""

    opened: list[Safe]
    refuses_to_open = False

    def __init__(self, settings: SafeSettings, tools: SourceTools) -> None:
        if Safe.refuses_to_open:
            raise SourceError("it sticks")
        self.name, self.code, self.tools = tools.name, settings.code, tools
        self.asked: list[str] = []
        self.closed = 0
        self.content: dict[str, str] = {"api_key": "key", "webhook_secret": "hook"}
        Safe.opened.append(self)

    def fetch(self, options: SafeReference, *, forced: bool) -> Document:
        self.asked.append(f"{options.name}{'!' * forced}")
        if not self.content:
            raise SourceError("empty")
        return Document(self.content, version=str(len(self.asked)))

    def close(self) -> None:
        self.closed += 1


KIND = SourceKind("safe", SafeReference, Safe, settings=SafeSettings)


class Bench:
    """The secrets of a configuration, as the registry makes them."""

    def __init__(self, config: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        table = {**kinds(), "safe": KIND}
        self.configuration = load(config, environ=environ, kinds=table, tenants_needed=True)
        self.events = EventStream()
        self.seen: list[Event] = []
        self.events.subscribe(self.seen.append)
        self.secrets = Secrets(self.configuration.sources, table, environ, self.events)

    def credentials(self, tenant: str) -> dict[str, Credential]:
        return self.secrets.credentials(tenant, self.configuration.tenants[tenant].settings)

    def close(self) -> None:
        self.secrets.close()
        self.events.close()


@pytest.fixture(autouse=True)
def nothing_opened() -> None:
    Safe.opened = []
    Safe.refuses_to_open = False


@pytest.fixture
def bench() -> Iterator[Bench]:
    config = {
        "sources": {"safe": {}, "other": {"type": "safe", "code": "1234"}},
        "tenants": {
            "acme": {"api_key": {"safe": "shared"}, "webhook_secret": {"safe": "shared"}},
            "globex": {"api_key": {"safe": "shared"}, "refresh": {"every": 60, "wait": 1}},
            "initech": {
                "api_key": {"other": "own"},
                "default_headers": {"X-Key": {"env": "HEADER"}, "X-Plain": "plain"},
                "default_query": {"key": {"safe": {"name": "shared", "field": "api_key"}}},
            },
            "umbrella": {"api_key": {"safe": {"name": "slow", "refresh": {"every": "1d"}}}},
        },
    }
    made = Bench(config, {"HEADER": "from-env"})
    yield made
    made.close()


def test_a_tenants_credentials_are_found_by_setting(bench: Bench) -> None:
    """Every reference of a tenant becomes a credential under the path of its setting."""
    found = bench.credentials("initech")
    assert {"api_key", "default_headers.X-Key", "default_query.key"} == set(found)
    values = {path: credential.get().reveal() for path, credential in found.items()}
    assert {
        "api_key": "key",
        "default_headers.X-Key": "from-env",
        "default_query.key": "key",
    } == values
    assert {"initech"} == {credential.tenant for credential in found.values()}


def test_nothing_is_opened_before_it_is_needed(bench: Bench) -> None:
    """Making credentials opens no source and asks none."""
    bench.credentials("acme")
    assert [] == Safe.opened


def test_a_shared_document_is_fetched_once(bench: Bench) -> None:
    """Two settings and two tenants that mean one document share a source and a fetch."""
    acme, globex = bench.credentials("acme"), bench.credentials("globex")
    assert ("key", "hook", "key") == (
        acme["api_key"].get().reveal(),
        acme["webhook_secret"].get().reveal(),
        globex["api_key"].get().reveal(),
    )
    [safe] = Safe.opened
    assert ["shared"] == safe.asked


def test_sources_of_one_kind_are_apart(bench: Bench) -> None:
    """Two declared sources are opened each with its own settings, and asked for themselves."""
    bench.credentials("acme")["api_key"].get()
    bench.credentials("initech")["api_key"].get()
    assert [("safe", "0000"), ("other", "1234")] == [(each.name, each.code) for each in Safe.opened]


def test_a_reference_says_its_own_refresh(bench: Bench) -> None:
    """A reference's `refresh` counts before the tenant's; shared documents take the smaller."""

    def policy(tenant: str) -> RefreshPolicy:
        return bench.credentials(tenant)["api_key"]._keeper.policy

    assert 86_400.0 == policy("umbrella").every
    assert 300.0 == policy("acme").every
    assert (60.0, 1.0) == (policy("globex").every, policy("globex").wait)
    assert (60.0, 1.0) == (policy("acme").every, policy("acme").wait)


def test_an_error_names_tenant_setting_and_reference(bench: Bench) -> None:
    """Each tenant of a shared document is told of its own setting."""
    acme, globex = bench.credentials("acme"), bench.credentials("globex")
    acme["api_key"].get()
    Safe.opened[0].content = {}
    with pytest.raises(CredentialUnavailableError, match="webhook_secret from safe shared") as one:
        acme["webhook_secret"].refresh()
    with pytest.raises(CredentialUnavailableError, match="api_key from safe shared") as other:
        globex["api_key"].refresh()
    assert ("acme", "globex") == (one.value.tenant, other.value.tenant)


def test_rotation_and_failure_are_events(bench: Bench) -> None:
    """The registry's listeners learn of both, with the source's name."""
    credential = bench.credentials("acme")["api_key"]
    credential.get()
    Safe.opened[0].content = {"api_key": "new"}
    credential.refresh()
    Safe.opened[0].content = {}
    with pytest.raises(CredentialUnavailableError):
        credential.refresh()
    bench.close()
    _first, refreshed, rotated, failed = bench.seen
    assert isinstance(refreshed, SecretRefreshed)
    assert ("2", True) == (refreshed.version, refreshed.changed)
    assert SecretRotated("acme", source="safe", version="2", previous_version="1") == rotated
    assert isinstance(failed, RefreshFailed)
    assert ("safe", "empty", True) == (failed.source, failed.reason, failed.usable)


def test_a_source_that_cannot_be_opened_is_tried_again(bench: Bench) -> None:
    """A failure to open is a failure to fetch, and passes like one."""
    Safe.refuses_to_open = True
    credential = bench.credentials("acme")["api_key"]
    with pytest.raises(CredentialUnavailableError, match="it sticks"):
        credential.get()
    Safe.refuses_to_open = False
    credential.refresh()
    assert "key" == credential.get().reveal()


def test_a_source_is_opened_once_for_all(bench: Bench) -> None:
    """Credentials that are first asked for at the same time share one opened source."""
    together = threading.Barrier(8)
    credentials = [bench.credentials("acme")["api_key"], bench.credentials("umbrella")["api_key"]]

    def ask(number: int) -> None:
        together.wait(LIMIT)
        credentials[number % 2].get()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    [safe] = Safe.opened
    assert ["shared", "slow"] == sorted(safe.asked)


def test_closing_closes_what_was_opened(bench: Bench) -> None:
    """Every opened source is closed, once."""
    bench.credentials("acme")["api_key"].get()
    bench.credentials("initech")["api_key"].get()
    bench.close()
    bench.close()
    assert [1, 1] == [each.closed for each in Safe.opened]


def test_a_source_is_lent_what_it_needs(bench: Bench) -> None:
    """Its own secrets and sessions are kept like any other, each on a lane of its own."""
    bench.credentials("acme")["api_key"].get()
    tools = Safe.opened[0].tools
    reference = bench.configuration.tenants["initech"].settings.references()[1][1]
    assert "from-env" == tools.credential_for(reference).get().reveal()
    policy = bench.credentials("acme")["api_key"]._keeper.policy

    def login(*, forced: bool) -> Document:
        return Document({"token": f"session {forced}"})

    session = tools.keep("login", policy, login)
    assert session is tools.keep("login", policy, login)
    held = session.current()
    assert "session False" == held.document.secret("token", "").reveal()
    assert {"HEADER": "from-env"} == tools.environ
