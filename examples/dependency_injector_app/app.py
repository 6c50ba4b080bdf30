"""A FastAPI service whose objects get their clients from a container."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from dependency_injector import containers, providers
from fastapi import Body, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from openai import AsyncOpenAI

from tenantry import TenantryError, use_tenant
from tenantry.integrations.dependency_injector import (
    AsyncClientFor,
    AsyncProvide,
    TenantryContainer,
    inject,
)
from tenantry.integrations.web import PROBLEM_JSON, answer_to

MODEL = "gpt-5"
CALLERS = {"token-of-alice": "acme", "token-of-bob": "globex"}  # your own authentication


class Summaries:
    """Lives as long as the application, and asks for a client for each piece of work."""

    def __init__(self, client_for: AsyncClientFor) -> None:
        self._client_for = client_for

    async def summarise(self, text: str) -> str:
        client = self._client_for(timeout=30, max_retries=1)  # the current tenant's
        reply = await client.responses.create(model=MODEL, input=f"Summarise: {text}")
        return reply.output_text


class Application(containers.DeclarativeContainer):
    openai = providers.Container(TenantryContainer, config=Path(__file__).with_name("tenants.yaml"))
    client = openai.container.async_client  # what `openai.async_client` is, with its type
    summaries = providers.ThreadSafeSingleton(Summaries, client_for=client.provider)


application = Application()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
    application.wire(modules=[__name__])
    application.init_resources()  # opens the registry: a wrong configuration stops the start
    yield
    application.shutdown_resources()


async def as_caller(authorization: Annotated[str, Header()] = "") -> AsyncGenerator[None]:
    """Make the caller's tenant the current one; not a sync function: that would run elsewhere."""
    tenant = CALLERS.get(authorization.removeprefix("Bearer "))
    if tenant is None:
        raise HTTPException(401)
    with use_tenant(tenant):
        yield


api = FastAPI(lifespan=lifespan, dependencies=[Depends(as_caller)])


@api.exception_handler(TenantryError)
async def answer(_: Request, error: TenantryError) -> Response:
    answered = answer_to(error)
    if answered is None:
        raise error
    return JSONResponse(
        answered.problem(), answered.status, dict(answered.headers), media_type=PROBLEM_JSON
    )


@api.post("/summaries")
@inject
async def summarise(
    text: Annotated[str, Body(embed=True)],
    summaries: Annotated[Summaries, Depends(AsyncProvide[Application.summaries])],
) -> str:
    return await summaries.summarise(text)


@api.get("/models")
@inject
async def models(
    client: Annotated[AsyncOpenAI, Depends(AsyncProvide[Application.client])],
) -> list[str]:
    return [model.id async for model in client.models.list()]
