"""What is done with planted secrets: every place and every operation, ways that fail before all."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from tests.planted.estate import PLANTED

from tenantry import TenantryError, use_tenant

if TYPE_CHECKING:
    from tests.planted.estate import Estate
    from tests.planted.hunting import Hunt

    from tenantry import ClientRegistry

SERVED = ("acme", "environment", "vaulted", "called", "certified", "azure")
FAILING = ("refused", "proxied", "absent", "lacking", "raising", "unreadable", "bare", "worded")
UNSIGNED = {"webhook-id": "x", "webhook-timestamp": "0", "webhook-signature": "v1,"}


def requests(registry: ClientRegistry, estate: Estate, hunt: Hunt) -> None:
    for name in SERVED:
        client = registry.client(name)
        with use_tenant(name):
            response = client.models.with_raw_response.list()
        hunt.see(
            name, client, vars(client), response, response.headers, vars(response.http_response)
        )
    for name in FAILING:
        hunt.fails(name, partial(ask, registry, name))
    client = registry.client("acme")
    clone = client.with_options(webhook_secret=PLANTED["own_webhook"])
    hunt.fails("clone", lambda: client.with_options(api_key=PLANTED["foreign"]))
    headers = {"Authorization": f"Bearer {PLANTED['foreign']}"}
    hunt.fails("header", lambda: client.models.list(extra_headers=headers))
    hunt.fails("elsewhere", lambda: client.with_options(base_url="http://127.0.0.1:9/v1"))
    for each in (client, clone):
        hunt.fails("signature", partial(each.webhooks.unwrap, "{}", UNSIGNED))
    estate.openai.slow(1.0, times=1)
    hunt.fails("time", client.with_options(timeout=0.05).models.list)
    estate.openai.fail_next(500)
    hunt.fails("server", client.models.list)
    with client.realtime.connect(model="gpt-realtime") as socket:
        hunt.see("socket", socket, vars(socket))


def ask(registry: ClientRegistry, name: str) -> None:
    registry.client(name).models.list()


async def async_requests(registry: ClientRegistry, estate: Estate, hunt: Hunt) -> None:
    for name in (*SERVED, "carried"):
        client = registry.async_client(name)
        hunt.see(name, client, vars(client), await client.models.list())
    for name in FAILING:
        await hunt.afails(name, aask(registry, name))
    client = registry.async_client("acme")
    async with client.realtime.connect(model="gpt-realtime") as socket:
        hunt.see("socket", socket, vars(socket))
    hunt.fails("signature", partial(client.webhooks.verify_signature, "{}", UNSIGNED))
    await late(registry, estate, hunt, "acme")


async def late(registry: ClientRegistry, estate: Estate, hunt: Hunt, name: str) -> None:
    """Have an answer come too late, of which every library on the way has frames."""
    estate.openai.slow(1.0, times=1)
    await hunt.afails("time", aask(registry, name, timeout=0.05))


async def aask(registry: ClientRegistry, name: str, **options: Any) -> None:
    await registry.async_client(name).with_options(**options).models.list()


def operations(registry: ClientRegistry, hunt: Hunt) -> None:
    hunt.see("registry", registry, registry.plan(), registry.ready(), registry.in_use())
    hunt.see("warm", *registry.warm().values())
    for name in registry.tenants:
        hunt.see("status", registry.status(name))
        with suppress(TenantryError):
            hunt.see("explain", *registry.explain(name))
        with suppress(TenantryError):
            hunt.see("catalog", registry.catalog.get(name), registry.catalog.problems(name))
    hunt.fails("refresh", lambda: registry.refresh("raising"))


def changes(registry: ClientRegistry, estate: Estate, hunt: Hunt) -> None:
    catalog: Any = registry.catalog
    said = {"base_url": estate.openai.base_url}
    wrong = {**said, "api_key": PLANTED["put"], "timeout": PLANTED["put"]}
    hunt.fails("put", lambda: catalog.put("new", wrong))
    catalog.put("new", {**said, "api_key": SecretStr(PLANTED["row"])})
    registry.client("new").models.list()
    hunt.see("row", catalog.get("new"), registry.explain("new"), registry.status("new"))
    estate.environ["environment"] = PLANTED["rotated"]
    registry.refresh("environment")
    registry.client("environment").models.list()
    estate.vault.put("acme", {"api_key": PLANTED["pinned"], "other": PLANTED["rotated"]})
    registry.refresh("vaulted")
    registry.pin("vaulted", "1", seconds=60.0)
    hunt.see("pinned", registry.status("vaulted"))
    hunt.fails("pin", lambda: registry.pin("vaulted", "99", seconds=60.0))
    registry.unpin("vaulted")
    hunt.see("reload", registry.reload())
    catalog.remove("new")
    registry.evict("acme")
