"""What does an injected client cost a FastAPI endpoint?

Endpoints that do nothing are called without a server, by turns in one run: without a dependency,
with one that returns a constant, with a tenant's client, with a clone that has options, and with
clients that dependency-injector wires, by its own marker and by the async one. What is printed is
CPU time per request, and what each takes more than the endpoint with the one trivial dependency of
the same round.

    python benchmarks/injection.py
"""

# No postponed annotations here: FastAPI and dependency-injector would not see their markers.
import argparse
import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Annotated, Any

from dependency_injector.wiring import Provide
from fastapi import Depends, FastAPI
from openai import AsyncOpenAI

from tenantry import ClientRegistry
from tenantry.integrations.dependency_injector import AsyncProvide, TenantryContainer, inject
from tenantry.integrations.fastapi import TenantClient, install, tenant_client

TARGET = 40.0  # microseconds
BASE = "one trivial dependency"
THREADED, ASYNC = "Depends(Provide[...])", "Depends(AsyncProvide[...])"
CONFIG = {"tenants": {"acme": {"api_key": {"literal": "sk-benchmark"}}}}

plain, ours, wired = FastAPI(), FastAPI(), FastAPI()


async def constant() -> str:
    return "acme"


@plain.get("/bare")
async def bare() -> None: ...


@plain.get("/trivial")
async def trivial(value: Annotated[str, Depends(constant)]) -> None:
    assert value == "acme"


@ours.get("/client")
async def with_client(client: TenantClient) -> None:
    assert isinstance(client, AsyncOpenAI)


@ours.get("/options")
async def with_options(
    client: Annotated[AsyncOpenAI, Depends(tenant_client(timeout=5, max_retries=0))],
) -> None:
    assert client.max_retries == 0


@wired.get("/wired")
@inject
async def with_wiring(
    client_for: Annotated[
        Callable[..., AsyncOpenAI], Depends(Provide[TenantryContainer.async_client.provider])
    ],
) -> None:
    assert isinstance(client_for(tenant="acme"), AsyncOpenAI)


@wired.get("/wired-async")
@inject
async def with_async_wiring(
    client_for: Annotated[
        Callable[..., AsyncOpenAI], Depends(AsyncProvide[TenantryContainer.async_client.provider])
    ],
) -> None:
    assert isinstance(client_for(tenant="acme"), AsyncOpenAI)


ENDPOINTS: Mapping[str, tuple[FastAPI, str]] = {
    "bare": (plain, "/bare"),
    BASE: (plain, "/trivial"),
    "TenantClient": (ours, "/client"),
    "tenant_client(options)": (ours, "/options"),
    THREADED: (wired, "/wired"),
    ASYNC: (wired, "/wired-async"),
}


async def call(app: FastAPI, path: str) -> None:
    """Have an application serve one request."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        assert message.get("status", 200) == 200, message

    await app(scope, receive, send)


async def microseconds(app: FastAPI, path: str, requests: int) -> float:
    gc.collect()
    began = time.process_time()
    for _ in range(requests):
        await call(app, path)
    return (time.process_time() - began) / requests * 1e6


async def measure(rounds: int, requests: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in ENDPOINTS}
    for app, path in ENDPOINTS.values():
        await microseconds(app, path, requests)
    for number in range(rounds):
        for name in sorted(ENDPOINTS, reverse=bool(number % 2)):
            times[name].append(await microseconds(*ENDPOINTS[name], requests))
    return times


def added(times: Mapping[str, list[float]], name: str) -> list[float]:
    """Return what an endpoint took more than the trivial one, round by round."""
    return [mine - base for mine, base in zip(times[name], times[BASE], strict=True)]


def tell(times: Mapping[str, list[float]]) -> None:
    print(f"  {'endpoint':26}{'CPU/request':>14}{'more than trivial':>22}")
    for name, taken in times.items():
        more = added(times, name)
        low, _, high = statistics.quantiles(more, n=4)
        print(
            f"  {name:26}{statistics.median(taken):11.0f} us"
            f"{statistics.median(more):+11.0f} us ({low:+.0f} .. {high:+.0f})"
        )


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=21)
    arguments.add_argument("--requests", type=int, default=300)
    asked = arguments.parse_args()
    with ClientRegistry.open(CONFIG, environ={}) as registry:
        install(ours, registry, tenant=constant)
        container = TenantryContainer()
        container.wire(modules=[sys.modules[__name__]])
        with container.registry.override(registry):
            times = asyncio.run(measure(asked.rounds, asked.requests))
        container.unwire()
    print(f"{asked.requests} requests each, {asked.rounds} rounds by turns; quartiles\n")
    tell(times)
    return judge(times)


def judge(times: Mapping[str, list[float]]) -> int:
    """Say whether the targets are held; 0 where both are."""
    more = {name: statistics.median(added(times, name)) for name in times}
    verdicts = {
        f"TenantClient adds at most {TARGET:.0f} us: {more['TenantClient']:.0f} us": (
            more["TenantClient"] <= TARGET
        ),
        f"{ASYNC} adds less than {THREADED}: {more[ASYNC]:.0f} us, not {more[THREADED]:.0f} us": (
            more[ASYNC] < more[THREADED]
        ),
    }
    print()
    for said, held in verdicts.items():
        print(f"target: {said}: {'held' if held else 'MISSED'}")
    return int(not all(verdicts.values()))


if __name__ == "__main__":
    raise SystemExit(main())
