"""Pages that ask a model something, each for the tenant of whoever is logged in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dependency_injector.wiring import Provide, inject
from django.contrib.auth import authenticate, login
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.middleware.csrf import get_token

from tenantry.integrations.django import get_tenant

from .containers import MODEL, Container

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from openai import AsyncOpenAI, OpenAI

    from tenantry.integrations.django import TenantRequest

    from .containers import Greetings


def sign_in(request: HttpRequest) -> HttpResponse:
    if not request.POST:
        get_token(request)  # whoever posts needs the cookie
        return HttpResponse(status=204)
    user = authenticate(request, username=request.POST["name"], password=request.POST["password"])
    if user is None:
        return HttpResponse(status=401)
    login(request, user)
    return HttpResponse(status=204)


def greet(request: TenantRequest) -> HttpResponse:
    reply = request.openai.responses.create(model=MODEL, input=_question(request))
    return JsonResponse({"text": reply.output_text})


async def greet_async(request: TenantRequest) -> HttpResponse:
    reply = await request.async_openai.responses.create(model=MODEL, input=_question(request))
    return JsonResponse({"text": reply.output_text})


@inject
def greet_injected(
    request: TenantRequest, greetings: Greetings = Provide[Container.greetings]
) -> HttpResponse:
    return JsonResponse({"text": greetings.greet(get_tenant(request), _question(request))})


def stream(request: TenantRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(_pieces(request.openai, _question(request)))


async def stream_async(request: TenantRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(_pieces_async(request.async_openai, _question(request)))


def _pieces(client: OpenAI, question: str) -> Iterator[str]:
    with client.responses.create(model=MODEL, input=question, stream=True) as events:
        for event in events:
            if event.type == "response.output_text.delta":
                yield event.delta


async def _pieces_async(client: AsyncOpenAI, question: str) -> AsyncIterator[str]:
    async with await client.responses.create(model=MODEL, input=question, stream=True) as events:
        async for event in events:
            if event.type == "response.output_text.delta":
                yield event.delta


def _question(request: HttpRequest) -> str:
    return f"Greet {request.GET.get('name', 'everybody')} in one line."
