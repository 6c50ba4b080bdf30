"""A configuration that is read again changes what changed, and nothing else."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from openai import OpenAIError

from tenantry import (
    CatalogChange,
    ClientRegistry,
    ConfigError,
    RegistryClosedError,
    TenantDisabledError,
    TenantQuarantinedError,
    UnknownTenantError,
)
from tenantry.events import (
    CatalogReloaded,
    ClientEvicted,
    Event,
    ReloadRejected,
    TenantQuarantined,
)
from tenantry.testing import OpenAIServer, VaultServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from openai import OpenAI

KEYS = {"KEY": "sk-key-0123456789", "OTHER": "sk-other-0123456789"}
IN_VAULT = ("sk-vault-0", "sk-vault-1")


class Estate:
    """A registry over one file that a test rewrites."""

    def __init__(self, server: OpenAIServer, file: Path) -> None:
        self.server = server
        self.file = file
        self.head = ""
        self.write(acme="", globex="")
        self.registry = ClientRegistry.open(file, environ=KEYS)
        self.heard: list[Event] = []
        self.registry.subscribe(self.heard.append)

    def write(self, **tenants: str) -> None:
        lines = [
            self.head,
            f"defaults: {{base_url: '{self.server.base_url}', api_key: {{env: KEY}}}}",
            "tenants:",
            *(f"  {name}: {{{said}}}" for name, said in tenants.items()),
        ]
        self.file.write_text("\n".join(lines))

    def change(self, **tenants: str) -> CatalogChange:
        self.write(**tenants)
        return self.registry.reload()

    def close(self) -> list[Event]:
        self.registry.close()  # delivers what happened
        return self.heard


@pytest.fixture(scope="module")
def running() -> Iterator[OpenAIServer]:
    with OpenAIServer(keys=[*KEYS.values(), *IN_VAULT]) as server:
        yield server


@pytest.fixture
def server(running: OpenAIServer) -> OpenAIServer:
    running.clear()
    return running


@pytest.fixture
def estate(server: OpenAIServer, tmp_path: Path) -> Iterator[Estate]:
    made = Estate(server, tmp_path / "tenants.yaml")
    yield made
    made.close()


# -- the difference -------------------------------------------------------------------------------


def test_plan_and_reload_tell_the_same(estate: Estate) -> None:
    """`plan` says what `reload` then does, and changes nothing itself."""
    estate.write(acme="max_retries: 7", initech="")
    planned = estate.registry.plan()
    assert ["acme", "globex"] == list(estate.registry.tenants)
    assert planned == estate.registry.reload()
    assert CatalogChange(("initech",), ("acme",), ("globex",)) == planned
    assert not estate.registry.reload()


def test_places_do_not_count(estate: Estate) -> None:
    """A line that moved is no change, and `explain` tells where it is now."""
    estate.head = "# a comment\n# and another"
    assert CatalogChange() == estate.change(acme="", globex="")
    origins = {setting.name: setting.origin for setting in estate.registry.explain("acme")}
    assert origins["api_key"].endswith("tenants.yaml:3:51")


def test_unchanged_tenants_keep_everything(estate: Estate) -> None:
    """Client, socket and credential are the same objects as before."""
    client = estate.registry.client("globex")
    client.models.list()
    before = estate.registry.status("globex").credentials
    estate.change(acme="max_retries: 7", globex="")
    assert client is estate.registry.client("globex")
    client.models.list()
    assert 1 == estate.server.connections
    assert before[0].fingerprint == estate.registry.status("globex").credentials[0].fingerprint


def test_changed_tenants_get_new_clients(estate: Estate) -> None:
    """What is held goes on with the settings of then; what is asked for has those of now."""
    held = estate.registry.client("acme")
    estate.change(acme="max_retries: 7, api_key: {env: OTHER}", globex="")
    fresh = estate.registry.client("acme")
    assert (2, 7) == (held.max_retries, fresh.max_retries)
    held.models.list()
    fresh.models.list()
    sent = [request.header["authorization"] for request in estate.server.requests]
    assert [f"Bearer {KEYS['KEY']}", f"Bearer {KEYS['OTHER']}"] == sent
    assert ("SealedOpenAI",) == estate.registry.status("acme").clients


@pytest.mark.parametrize(
    "said", ["labels: {a: b}", "refresh: {every: 9s}", "rotated_at: 2020-01-01"]
)
def test_what_clients_do_not_notice_keeps_them(estate: Estate, said: str) -> None:
    """Labels, refresh limits and `rotated_at` change without a new client."""
    client = estate.registry.client("acme")
    assert ("acme",) == estate.change(acme=said, globex="").changed
    assert client is estate.registry.client("acme")


def test_an_endpoint_changes_by_itself(estate: Estate) -> None:
    """A tenant's other endpoints keep their clients."""
    estate.change(acme="endpoints: {eu: {max_retries: 1}, us: {}}", globex="")
    clients = [estate.registry.client("acme", endpoint=name) for name in (None, "eu", "us")]
    estate.change(acme="endpoints: {eu: {max_retries: 2}}", globex="")
    assert clients[0] is estate.registry.client("acme")
    assert 2 == estate.registry.client("acme", endpoint="eu").max_retries
    assert 1 == clients[1].max_retries
    assert len(estate.registry.status("acme").superseded) == 2


def test_refresh_limits_may_be_loosened(estate: Estate) -> None:
    """The limits of now are in force, smaller or larger; those of then are not kept."""
    registry = estate.registry
    registry.client("acme").models.list()
    credentials = registry._secrets.credentials
    for every in ("9s", "7h"):
        estate.change(acme=f"refresh: {{every: {every}}}", globex=f"refresh: {{every: {every}}}")
        [credential] = credentials("acme", registry.catalog.get("acme").settings).values()
        assert {"9s": 9.0, "7h": 25_200.0}[every] == credential.keeper.policy.every


# -- who is not served any more -------------------------------------------------------------------


def test_a_removed_tenants_gates_are_shut(estate: Estate) -> None:
    """Whoever holds a client gets an error before a secret is read, as an SDK error."""
    client, clone = estate.registry.client("acme"), estate.registry.client("acme", timeout=5)
    client.models.list()
    assert ("acme",) == estate.change(globex="").removed
    for each in (client, clone):
        with pytest.raises(UnknownTenantError) as raised:
            each.models.list()
        assert isinstance(raised.value, OpenAIError)
    with pytest.raises(UnknownTenantError):
        estate.registry.client("acme")
    assert 1 == len(estate.server.requests)


def test_a_disabled_tenants_gates_are_shut_until_it_is_enabled(estate: Estate) -> None:
    """`enabled: false` stops held clients at once; they work again when it is taken back."""
    client = estate.registry.client("acme")
    client.models.list()
    estate.change(acme="enabled: false", globex="")
    with pytest.raises(TenantDisabledError):
        client.models.list()
    with pytest.raises(TenantDisabledError):
        estate.registry.client("acme")
    estate.change(acme="", globex="")
    client.models.list()
    estate.registry.client("acme").models.list()
    assert 3 == len(estate.server.requests)


@pytest.mark.parametrize("said", [None, "enabled: false"])
def test_the_secrets_of_who_is_gone_are_dropped(estate: Estate, said: str | None) -> None:
    """A removed or disabled tenant's values are forgotten, even by who holds a credential."""
    estate.change(acme="api_key: {env: OTHER}", globex="")
    registry = estate.registry
    registry.client("acme").models.list()
    [mine] = registry._secrets.credentials("acme", registry.catalog.get("acme").settings).values()
    [theirs] = registry._secrets.credentials(
        "globex", registry.catalog.get("globex").settings
    ).values()
    theirs.get()
    assert KEYS["OTHER"] == getattr(mine.peek(), "reveal")()  # noqa: B009
    estate.change(globex="", **({} if said is None else {"acme": said}))
    assert mine.peek() is None
    assert theirs.peek() is not None


def test_what_is_in_flight_finishes(estate: Estate) -> None:
    """A tenant that is removed in the middle of a stream is read to its end."""
    client = estate.registry.client("acme")
    stream = client.chat.completions.create(
        model="gpt-5", messages=[{"role": "user", "content": "hi"}], stream=True
    )
    first = next(stream)
    estate.change(globex="")
    assert [first, *stream][-1].choices[0].finish_reason == "stop"


# -- quarantine -----------------------------------------------------------------------------------


def test_a_broken_tenant_keeps_its_last_good_settings(estate: Estate) -> None:
    """It is served as before, `status` has the problem, and an event fires once."""
    client = estate.registry.client("acme")
    change = estate.change(acme="max_retries: many", globex="max_retries: 1")
    assert (["acme"], ("globex",)) == (list(change.rejected), change.changed)
    assert client is estate.registry.client("acme")
    client.models.list()
    status = estate.registry.status("acme")
    assert ("openai", 1) == (status.provider, len(status.problems))
    estate.registry.reload()
    assert 1 == sum(isinstance(event, TenantQuarantined) for event in estate.close())


def test_who_was_never_right_is_not_served(estate: Estate) -> None:
    """A new tenant with a problem is in quarantine until it is mended."""
    estate.change(acme="", globex="", initech="max_retries: many")
    with pytest.raises(TenantQuarantinedError):
        estate.registry.client("initech")
    assert ("", ()) == (
        estate.registry.status("initech").provider,
        estate.registry.status("initech").clients,
    )
    assert ("initech",) == estate.change(acme="", globex="", initech="").changed
    estate.registry.client("initech").models.list()


def test_disabling_is_obeyed_in_quarantine(estate: Estate) -> None:
    """`enabled: false` counts, whatever else is wrong with the tenant."""
    client = estate.registry.client("acme")
    estate.change(acme="enabled: false, max_retries: many", globex="")
    with pytest.raises(TenantDisabledError):
        client.models.list()
    estate.change(acme="", globex="")
    client.models.list()


# -- what cannot be used --------------------------------------------------------------------------


def test_a_broken_file_changes_nothing(estate: Estate) -> None:
    """The error has every problem, an event tells of it, and everything stays as it was."""
    client = estate.registry.client("acme")
    estate.file.write_text("tenants: [")
    for read in (estate.registry.plan, estate.registry.reload):
        with pytest.raises(ConfigError):
            read()
    assert client is estate.registry.client("acme")
    rejected = [event for event in estate.close() if isinstance(event, ReloadRejected)]
    assert [1] == [len(event.problems) for event in rejected]


def test_many_removals_at_once_want_to_be_meant(estate: Estate) -> None:
    """Of 20 tenants two may go at once; more need `force`."""
    names = [f"tenant-{number}" for number in range(20)]
    estate.head = "registry: {max_removals: 0.1}"
    estate.write(**dict.fromkeys(names, ""))
    estate.registry.reload(force=True)
    estate.change(**dict.fromkeys(names[2:], ""))
    estate.write(**dict.fromkeys(names[4:], ""))
    with pytest.raises(ConfigError, match=r"would remove 2 of 18 tenants at once") as raised:
        estate.registry.reload()
    assert "reload(force=True)" in str(raised.value)
    assert 18 == len(estate.registry.tenants)
    assert ("tenant-2", "tenant-3") == estate.registry.reload(force=True).removed


def test_one_removal_is_always_allowed(estate: Estate) -> None:
    """One of two tenants may go, although that is half of them."""
    assert ("globex",) == estate.change(acme="").removed


def test_a_closed_registry_is_not_reloaded(estate: Estate) -> None:
    """There is nothing to reload after `close`."""
    estate.close()
    for read in (estate.registry.plan, estate.registry.reload):
        with pytest.raises(RegistryClosedError):
            read()


# -- the process's own settings -------------------------------------------------------------------


def test_limits_of_the_registry_change(estate: Estate) -> None:
    """`idle_after`, `max_clients`, `max_sockets` and `max_removals` are those of now."""
    estate.head = "registry: {idle_after: 7s, max_clients: 3, max_sockets: 11}"
    estate.change(acme="", globex="")
    clients, sockets = estate.registry._clients, estate.registry._sockets
    assert (7.0, 3, 11) == (clients.idle_after, clients.limit, sockets.limit)


def test_a_source_that_changed_is_opened_anew(estate: Estate) -> None:
    """Tenants whose secrets come from a changed source get new clients, others keep theirs."""

    def use(vault: VaultServer) -> OpenAI:
        auth = f"{{token: {{literal: {vault.root_token}}}}}"
        estate.head = f"sources: {{vault: {{address: '{vault.url}', auth: {auth}}}}}"
        estate.change(acme="api_key: {vault: acme}", globex="")
        return estate.registry.client("acme")

    with VaultServer() as first, VaultServer() as second:
        for number, vault in enumerate((first, second)):
            vault.put("acme", {"api_key": IN_VAULT[number]})
        then, globex = use(first), estate.registry.client("globex")
        then.models.list()
        assert then is use(first)
        now = use(second)
        assert then is not now
        assert globex is estate.registry.client("globex")
        now.models.list()
        then.models.list()  # with the source of then
    sent = [request.header["authorization"][-1] for request in estate.server.requests]
    assert ["0", "1", "0"] == sent


# -- races ----------------------------------------------------------------------------------------


def test_a_client_that_is_built_while_its_tenant_goes_is_shut(estate: Estate) -> None:
    """Whoever asked before the reload and got its client after it has a shut gate."""
    registry = estate.registry
    building, go_on = threading.Event(), threading.Event()
    build = registry._build

    def slowly(name: str, endpoint: str | None, find: Any = None) -> Any:
        clients = build(name, endpoint, find)
        building.set()
        go_on.wait(10)
        return clients

    registry._build = slowly  # type: ignore[method-assign]
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            registry.client("acme")
        except UnknownTenantError as error:
            raised.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    building.wait(10)
    estate.change(globex="")
    go_on.set()
    asking.join(10)
    assert 1 == len(raised)
    assert [] == registry._clients.of("acme")


def test_hooks_hear_of_a_reload(estate: Estate) -> None:
    """One event has all names; evictions say why."""
    estate.registry.client("acme")
    estate.registry.client("globex")
    estate.change(acme="max_retries: 1", initech="")
    heard = [e for e in estate.close() if isinstance(e, (CatalogReloaded, ClientEvicted))]
    assert [
        ClientEvicted("globex", "", "SealedOpenAI", "removed"),
        ClientEvicted("acme", "", "SealedOpenAI", "changed"),
        CatalogReloaded("", ("initech",), ("acme",), ("globex",), ()),
    ] == heard
