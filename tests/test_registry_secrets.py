"""The registry fetches secrets ahead of requests, and anew when it is told to."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tenantry import ClientRegistry, CredentialUnavailableError, UnknownTenantError
from tenantry.freshness import Freshness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.testing import OpenAIServer

LIMIT = 10.0  # seconds after which a test that hangs fails


class Keys:
    """A source in code: the key of the moment, and how often it was asked for."""

    def __init__(self) -> None:
        self.key = "key-1"
        self.asked = 0
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self) -> str:
        self.asked += 1
        assert self.go_on.wait(LIMIT)
        return self.key


@pytest.fixture
def keys() -> Iterator[Keys]:
    made = Keys()
    yield made
    made.go_on.set()


def opened(tenants: dict[str, Any], **registry: str) -> ClientRegistry:
    config = {"registry": registry, "tenants": tenants}
    return ClientRegistry.open(config, environ={"KEY_ACME": "key-acme"})


def freshness(registry: ClientRegistry, tenant: str) -> list[Freshness]:
    return [each.freshness for each in registry.status(tenant).credentials]


# -- warming --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "acme", "globex"),
    [
        ("none", Freshness.EXPIRED, Freshness.EXPIRED),
        ("local", Freshness.FRESH, Freshness.EXPIRED),
        ("all", Freshness.FRESH, Freshness.FRESH),
    ],
)
def test_open_fetches_what_the_configuration_says(
    keys: Keys, how: str, acme: Freshness, globex: Freshness
) -> None:
    """`warm` says whether variables and files, everything or nothing is fetched at open."""
    tenants = {"acme": {"api_key": {"env": "KEY_ACME"}}, "globex": {"api_key": keys}}
    with opened(tenants, warm=how) as registry:
        assert ([acme], [globex]) == (freshness(registry, "acme"), freshness(registry, "globex"))


def test_what_is_missing_at_open_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A variable that is not set is said once, by the event of its fetch, and stops nobody."""
    tenants = {"acme": {"api_key": {"env": "KEY_ACME"}}, "globex": {"api_key": {"env": "NOPE"}}}
    with caplog.at_level(logging.WARNING, "tenantry"), opened(tenants) as registry:
        assert "acme" == registry.client("acme").tenant  # type: ignore[attr-defined]  # ours has one
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith('refresh_failed tenant=globex source=env reason="variable NOPE is not')


def test_what_lacks_the_field_at_open_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """No event tells of it, since the fetch succeeded: the registry says whose it is."""
    tenants = {"acme": {"api_key": {"python": {"call": lambda: dict.fromkeys("ab", "key")}}}}
    with caplog.at_level(logging.WARNING, "tenantry"), opened(tenants, warm="all"):
        pass
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("tenantry: no credential for tenant 'acme': api_key from python")


def test_what_is_missing_at_open_may_stop_it() -> None:
    """With `on_problem: fail` a secret that is missing is an error of `open`."""
    tenants = {"acme": {"api_key": {"env": "NOPE"}}}
    with pytest.raises(CredentialUnavailableError, match="NOPE is not set"):
        opened(tenants, on_problem="fail")


def test_who_is_quarantined_is_not_warmed() -> None:
    """A broken tenant has no secrets to fetch."""
    tenants = {"acme": {"api_key": {"env": "KEY_ACME"}}, "globex": {"max_retries": "no"}}
    with opened(tenants, warm="all") as registry:
        assert [Freshness.FRESH] == freshness(registry, "acme")


async def test_warm_says_what_went_wrong(keys: Keys) -> None:
    """`warm` and `awarm` return an error or None for each tenant, and raise for none."""
    tenants = {
        "acme": {"api_key": keys},
        "globex": {"api_key": {"env": "NOPE"}},
        "off": {"enabled": False, "api_key": keys},
    }
    async with opened(tenants, warm="none") as registry:
        for outcome in (registry.warm(), await registry.awarm()):
            assert ["acme", "globex", "off"] == list(outcome)
            assert (None, None) == (outcome["acme"], outcome["off"])
            assert isinstance(outcome["globex"], CredentialUnavailableError)
        assert isinstance(registry.warm(["nobody"])["nobody"], UnknownTenantError)
    assert 1 == keys.asked


async def test_warming_takes_no_longer_than_it_may(keys: Keys) -> None:
    """Who is not fetched in time has an error that says so."""
    async with opened({"acme": {"api_key": keys}}, warm="none") as registry:
        late = registry.warm(timeout=0.0)["acme"], (await registry.awarm(timeout=0.0))["acme"]
    assert [True, True] == ["in the time that warming has" in str(each) for each in late]


# -- refreshing -----------------------------------------------------------------------------------


def test_refresh_asks_once_for_each_document(openai_server: OpenAIServer, keys: Keys) -> None:
    """Two settings from one document, of a tenant and its endpoint, are fetched together."""
    tenant = {
        "api_key": keys,
        "webhook_secret": keys,
        "endpoints": {"eu": {"base_url": "https://eu.example/v1"}},
    }
    with opened({"acme": tenant}, warm="none") as registry:
        registry.refresh("acme")
    assert 1 == keys.asked


def test_an_accepted_key_is_not_retired_by_one_that_fails(
    openai_server: OpenAIServer, keys: Keys
) -> None:
    """A wrong key that is published fails no request: the one that works goes on serving."""
    openai_server.allow("key-1")
    with opened({"acme": {"api_key": keys, "base_url": openai_server.base_url}}) as registry:
        client = registry.client("acme")
        client.models.list()
        keys.key = "key-wrong"
        registry.refresh("acme")
        for _ in range(5):
            client.models.list()
    assert 1 == openai_server.count(key="key-wrong")
    assert 6 == openai_server.count(status=200)


async def test_a_compromised_key_never_serves_again(
    openai_server: OpenAIServer, keys: Keys
) -> None:
    """After `drop_previous` the old key is not sent, even where the new one is refused."""
    openai_server.allow("key-1")
    tenant = {"api_key": keys, "base_url": openai_server.base_url, "max_retries": 0}
    async with opened({"acme": tenant}) as registry:
        client = registry.client("acme")
        client.models.list()
        keys.key = "key-2"
        await registry.arefresh("acme", drop_previous=True)
        openai_server.clear()
        with pytest.raises(Exception, match="401"):
            client.models.list()
    assert {"key-2"} == {request.key for request in openai_server.requests}


def test_what_was_fetched_before_a_rotation_is_fetched_anew(keys: Keys) -> None:
    """`rotated_at` makes a secret that was fetched before it stale at once."""
    now = dt.datetime.now(dt.UTC)
    shared = {"api_key": keys}
    rotated_at = now + dt.timedelta(milliseconds=50)
    tenants = {
        "acme": shared,
        "later": {**shared, "rotated_at": now + dt.timedelta(hours=1)},
        "before": {**shared, "rotated_at": now - dt.timedelta(hours=1)},
        "rotated": {**shared, "rotated_at": rotated_at},
    }
    with opened(tenants, warm="none") as registry:
        registry.warm(["acme"])
        for name in ("acme", "later", "before"):
            registry.client(name)
        assert 1 == keys.asked
        keys.key = "key-2"
        while dt.datetime.now(dt.UTC) <= rotated_at:
            time.sleep(0.01)
        before = registry.status("acme").credentials[0].fingerprint
        registry.client("rotated")
        deadline = time.monotonic() + LIMIT
        while before == registry.status("acme").credentials[0].fingerprint:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert 2 == keys.asked
