"""`/livez` and `/readyz`, for whoever runs the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from tenantry.errors import RegistryClosedError

if TYPE_CHECKING:
    from tenantry.integrations.fastapi.installation import Installation


def probes(installation: Installation) -> APIRouter:
    """Return the routes of both; what is wrong with a source is in the log, not in the answer."""
    router = APIRouter(include_in_schema=False)

    async def livez() -> JSONResponse:
        return JSONResponse({"status": "live"})

    async def readyz() -> JSONResponse:
        try:
            faults = await installation.registry.aready()
        except RegistryClosedError:
            return JSONResponse({"status": "closed"}, 503)
        sources = {name: _WORDS[fault is None] for name, fault in faults.items()}
        is_ready = not any(faults.values())
        return JSONResponse(
            {"status": _WORDS[is_ready], "sources": sources}, 200 if is_ready else 503
        )

    router.add_api_route("/livez", livez)
    router.add_api_route("/readyz", readyz)
    return router


_WORDS = {True: "ready", False: "not ready"}
