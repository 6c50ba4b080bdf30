"""No secret is found in what a registry says, however logging is set up."""

from __future__ import annotations

import asyncio
import io
import pickle
from typing import TYPE_CHECKING

import pytest
from tests.planted.errands import async_requests, changes, operations, requests
from tests.planted.hunting import Hunt, found_in
from tests.planted.logging_set_ups import SET_UPS, logged

from tenantry import ClientRegistry, Settings, logs

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from tests.planted.estate import Estate

    from tenantry.events import Event

TOLD = {
    *("SecretRefreshed", "SecretRotated", "RefreshFailed", "CredentialPinned"),
    *("CredentialUnpinned", "RequestAnswered", "TenantQuarantined", "CatalogReloaded"),
}


def do_everything(estate: Estate, hunt: Hunt) -> None:
    config = estate.config()
    hunt.see("settings", Settings(**config))
    events: list[Event] = []
    with ClientRegistry.open(config, environ=estate.environ) as registry:
        registry.subscribe(events.append, requests=True)
        registry.subscribe(logs.write, requests=True)
        requests(registry, estate, hunt)
        asyncio.run(async_requests(registry, estate, hunt))
        operations(registry, hunt)
        changes(registry, estate, hunt)
    hunt.see("events", *events, *(pickle.dumps(event) for event in events))
    assert {type(event).__name__ for event in events} >= TOLD


@pytest.mark.parametrize("set_up", SET_UPS)
def test_no_planted_secret_is_found(
    set_up: Callable[[], logging.Formatter | None],
    estate: Estate,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Not in a repr, an error, a pickle, an event, a status, nor a log, whoever writes it."""
    hunt, written = Hunt(), io.StringIO()
    with logged(written, set_up()):
        do_everything(estate, hunt)
    hunt.surfaces["log"] = written.getvalue()
    hunt.surfaces["output"] = "".join(capfd.readouterr())
    assert hunt.errors > 20
    assert [] == found_in(hunt.surfaces, estate.planted)


def test_a_clone_hides_a_secret_of_its_own(estate: Estate) -> None:
    """Who looks at a client's attributes sees no secret, though its caller knew one."""
    hunt = Hunt()
    with ClientRegistry.open(estate.config(), environ=estate.environ) as registry:
        secret = estate.planted["own_webhook"]
        clone = registry.client("acme").with_options(webhook_secret=secret)
        hunt.see("clone", clone, vars(clone))
    assert [] == found_in(hunt.surfaces, estate.planted)
