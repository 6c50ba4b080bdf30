"""Orchestrators learn whether the process lives, and whether tenants can be served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from tenantry.integrations.fastapi import install, registry_of

if TYPE_CHECKING:
    from tenantry import ClientRegistry


def test_ready(serve: Any, registry: ClientRegistry) -> None:
    """A registry whose sources deliver is ready; the probes are not part of the API."""
    app = FastAPI()
    install(app, registry, probes=True)
    served = serve(app)

    assert {"status": "live"} == served.json("/livez")
    assert {"status": "ready", "sources": {}} == served.json("/readyz")
    assert {} == app.openapi()["paths"]


def test_not_ready(serve: Any, config: dict[str, Any]) -> None:
    """A source that does not deliver is named, and nothing is said of why, or of whose it is."""
    config["sources"] = {
        "vault": {"address": "http://127.0.0.1:9", "auth": {"token": {"env": "TOKEN"}}}
    }
    config["tenants"]["stark"] = {"api_key": {"vault": "tenants/stark"}}
    app = FastAPI()
    install(app, config, probes=True, environ={"TOKEN": "t"})
    served = serve(app)
    reply = served.get("/readyz")

    assert 503 == reply.status_code
    assert {"status": "not ready", "sources": {"vault": "not ready"}} == reply.json()
    assert 200 == served.get("/livez").status_code


def test_closed(serve: Any, config: dict[str, Any]) -> None:
    """A closed registry is not ready, though the process lives."""
    app = FastAPI()
    install(app, config, probes=True, environ={})
    served = serve(app)
    registry_of(app).close()

    assert (503, {"status": "closed"}) == (
        (reply := served.get("/readyz")).status_code,
        reply.json(),
    )
    assert 200 == served.get("/livez").status_code


def test_opt_in(serve: Any, registry: ClientRegistry) -> None:
    """Nobody has the probes who did not ask for them."""
    app = FastAPI()
    install(app, registry)
    served = serve(app)
    assert (404, 404) == (served.get("/livez").status_code, served.get("/readyz").status_code)
