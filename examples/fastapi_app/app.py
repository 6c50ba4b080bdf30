"""A service that answers questions, for each user with the OpenAI client of the user's company."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, WebSocket
from fastapi.requests import HTTPConnection
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI
from pydantic import BaseModel

from tenantry.integrations.fastapi import (
    SyncTenantClient,
    TenantClient,
    TenantName,
    claim,
    install,
    tenant_client,
)

MODEL = "gpt-5"


class User(BaseModel):
    name: str
    company: str


class Question(BaseModel):
    text: str


class Reply(BaseModel):
    company: str
    text: str


# What an identity provider would say of them.
USERS = {
    "token-of-ann": User(name="Ann", company="acme"),
    "token-of-bob": User(name="Bob", company="globex"),
}


async def current_user(connection: HTTPConnection) -> User:
    """Say who calls; the application's own authentication, which knows nothing of tenantry."""
    token = connection.headers.get("authorization", "").removeprefix("Bearer ")
    if token not in USERS:
        raise HTTPException(401, "Who are you?", {"WWW-Authenticate": "Bearer"})
    return USERS[token]


app = FastAPI(title="Questions")
install(
    app,
    Path(__file__).with_name("tenants.yaml"),
    tenant=claim(current_user, "company"),
    probes=True,
)

Patient = Annotated[AsyncOpenAI, Depends(tenant_client(timeout=600, max_retries=5))]


@app.post("/ask")
async def ask(question: Question, client: TenantClient, company: TenantName) -> Reply:
    """Answer at once."""
    response = await client.responses.create(model=MODEL, input=question.text)
    return Reply(company=company, text=response.output_text)


@app.post("/ask-sync")
def ask_sync(question: Question, client: SyncTenantClient, company: TenantName) -> Reply:
    """Answer at once, in an endpoint that runs on a thread."""
    response = client.responses.create(model=MODEL, input=question.text)
    return Reply(company=company, text=response.output_text)


@app.post("/stream")
async def stream(question: Question, client: Patient) -> StreamingResponse:
    """Answer word by word; what is wrong with the request is still told by its status."""
    chunks = await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": question.text}], stream=True
    )

    async def words() -> AsyncIterator[str]:
        async for chunk in chunks:
            for choice in chunk.choices:
                yield choice.delta.content or ""

    return StreamingResponse(words(), media_type="text/plain")


@app.websocket("/talk")
async def talk(websocket: WebSocket, client: TenantClient) -> None:
    """Answer as long as the user asks."""
    await websocket.accept()
    async for question in websocket.iter_text():
        response = await client.responses.create(model=MODEL, input=question)
        await websocket.send_text(response.output_text)
