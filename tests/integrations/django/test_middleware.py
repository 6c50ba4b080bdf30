"""Views find their tenant's clients on the request, over WSGI and ASGI, sync and async."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import openai
import pytest
from asgiref.sync import sync_to_async
from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path

from tenantry import ClientRegistry, NoCurrentTenantError, current_tenant, use_tenant
from tenantry.integrations.django import (
    TenantRequest,
    async_clients,
    clients,
    from_user,
    get_client,
    trusted_header,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tenantry.testing import OpenAIServer

by_user = from_user("last_name")
by_header = trusted_header("X-Tenant", authorize=lambda request, tenant: tenant != "secret")


def sync_view(request: TenantRequest) -> HttpResponse:
    assert isinstance(request, TenantRequest)
    assert isinstance(request.openai, openai.OpenAI)
    request.openai.models.list()
    return HttpResponse("served")


async def async_view(request: TenantRequest) -> HttpResponse:
    assert isinstance(request.async_openai, openai.AsyncOpenAI)
    await request.async_openai.models.list()
    return HttpResponse("served")


async def hopping_view(request: TenantRequest) -> HttpResponse:
    client = await sync_to_async(get_client)(request)
    await sync_to_async(client.models.list)()
    return HttpResponse("served")


def public_view(request: TenantRequest) -> HttpResponse:
    return HttpResponse("public")


async def async_public_view(request: TenantRequest) -> HttpResponse:
    return HttpResponse("public")


def ambient_view(request: TenantRequest) -> HttpResponse:
    try:
        return HttpResponse(current_tenant())
    except NoCurrentTenantError:
        return HttpResponse("nobody")


async def async_ambient_view(request: TenantRequest) -> HttpResponse:
    return ambient_view(request)


TENANTRY = "tenantry.integrations.django.middleware.TenantryMiddleware"
MESSAGES: Any = [{"role": "user", "content": "hi"}]
BEHIND = f"{__name__}.refusing"
VIEWS = (sync_view, async_view, hopping_view)


@pytest.mark.parametrize("view", VIEWS)
def test_the_users_client(
    project: Any, user: Callable[[str], Any], openai_server: OpenAIServer, view: Any
) -> None:
    """A logged-in user's view sends the key of the user's tenant."""
    project.serve(*VIEWS, tenant=by_user)
    for tenant in ("acme", "globex"):
        project.login(user(tenant))
        assert b"served" == project.get(view.__name__).content
    assert ["acme", "globex"] == [request.tenant for request in openai_server.requests]


def test_the_same_client_for_all(project: Any) -> None:
    """Every request of a tenant has the same client: the registry's own."""
    found: list[Any] = []

    def view(request: TenantRequest) -> HttpResponse:
        found.extend([request.openai, request.async_openai])
        return HttpResponse()

    project.serve(view, tenant=by_header)
    for _ in range(2):
        project.get("view", **{"X-Tenant": "acme"})
    assert [clients["acme"], async_clients["acme"]] * 2 == found


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    ("tenant", "options", "status", "detail"),
    [
        ("", {}, 400, "The request names no tenant."),
        ("nobody", {}, 404, "There is no such tenant."),
        ("nobody", {"unknown": 403}, 403, "The tenant may not be used."),
        ("off", {}, 403, "The tenant may not be used."),
        ("secret", {}, 403, "The tenant may not be used."),
        ("keyless", {}, 503, "The tenant cannot be served at the moment."),
    ],
)
def test_errors(
    project: Any,
    caplog: pytest.LogCaptureFixture,
    view: Any,
    tenant: str,
    options: dict[str, Any],
    status: int,
    detail: str,
) -> None:
    """Our errors are answered as problem+json, with fixed words that name nobody."""
    project.serve(*VIEWS, tenant=by_header, **options)
    answer = project.get(view.__name__, **{"X-Tenant": tenant})
    assert status == answer.status_code
    assert "application/problem+json" == answer["Content-Type"]
    assert {"type", "title", "status", "detail"} == answer.json().keys()
    assert (status, detail) == (answer.json()["status"], answer.json()["detail"])
    assert (tenant == "keyless") == ("Retry-After" in answer)
    logged = [record for record in caplog.records if record.name == "tenantry"]
    assert (status == 503) == any("'keyless'" in record.getMessage() for record in logged)


def test_without_a_resolver(
    project: Any, openai_server: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Where nothing says whose a request is, only use_tenant() does; the log says what to do."""

    async def view(request: TenantRequest) -> HttpResponse:
        for tenant in ("globex", "acme"):
            with use_tenant(tenant):
                await request.async_openai.models.list()
        return HttpResponse(request.async_openai)

    project.serve(view)
    assert 400 == project.get("view").status_code
    assert "give TENANTRY['tenant'] a resolver" in caplog.text
    assert ["globex", "acme"] == [request.tenant for request in openai_server.requests]


def test_it_stands_there_twice(project: Any) -> None:
    """A middleware that is said twice does no harm."""
    project.serve(sync_view, tenant=by_header, middleware=[TENANTRY, TENANTRY])
    assert b"served" == project.get("sync_view", **{"X-Tenant": "acme"}).content


def test_a_closed_registry(project: Any, registry: ClientRegistry) -> None:
    """A registry that the application closed under its requests is answered 503."""
    project._setting = {"registry": registry}
    project.serve(sync_view, tenant=by_header)
    registry.close()
    assert 503 == project.get("sync_view", **{"X-Tenant": "acme"}).status_code


def test_other_errors(project: Any) -> None:
    """What is not ours is left to Django."""

    def view(request: TenantRequest) -> HttpResponse:
        raise ValueError

    project.serve(view, tenant=by_header)
    answer = project.get("view")
    assert (500, True) == (answer.status_code, answer["Content-Type"].startswith("text/html"))


def refusing(get_response: Any) -> Any:
    """Middleware of a user's own that wants the tenant's client, and breaks on one page."""

    def middleware(request: Any) -> Any:
        if request.path == "/public_view":
            raise ValueError
        get_client(request)
        return get_response(request)

    return middleware


@pytest.mark.parametrize(("tenant", "status"), [("acme", 200), ("nobody", 404), ("keyless", 503)])
def test_errors_of_other_middleware(project: Any, tenant: str, status: int) -> None:
    """What middleware behind ours raises is answered as if a view had raised it."""
    project.serve(sync_view, tenant=by_header, middleware=[TENANTRY, BEHIND])
    answer = project.get("sync_view", **{"X-Tenant": tenant})
    assert status == answer.status_code
    if status != 200:
        assert "application/problem+json" == answer["Content-Type"]
        assert (status == 503) == ("Retry-After" in answer)


@pytest.mark.parametrize(
    ("middleware", "page"), [([TENANTRY, BEHIND], "public_view"), ([BEHIND, TENANTRY], "sync_view")]
)
def test_mistakes_of_other_middleware(project: Any, middleware: list[str], page: str) -> None:
    """What other middleware raises that is not ours is left to Django, as is what stands before."""
    project.serve(sync_view, public_view, tenant=by_header, middleware=middleware)
    answer = project.get(page, **{"X-Tenant": "nobody"})
    assert (500, True) == (answer.status_code, answer["Content-Type"].startswith("text/html"))


def test_a_page_without_a_tenant(project: Any) -> None:
    """A sync view that wants no client asks nobody, so that its pages may be cached for all."""
    asked: list[Any] = []
    project.serve(public_view, tenant=asked.append)
    answer = project.get("public_view")
    assert (200, b"public", False) == (answer.status_code, answer.content, "Vary" in answer)
    assert [] == asked


@pytest.mark.parametrize("view", [public_view, async_public_view])
@pytest.mark.parametrize("current", [True, False])
def test_a_broken_configuration(project: Any, tmp_path: Path, view: Any, current: bool) -> None:
    """A configuration that cannot be used stops only views that want a client."""
    options = {"config": tmp_path / "none.yaml", "tenant": by_header, "current": current}
    project.serve(view, sync_view, **options)
    assert b"public" == project.get(view.__name__).content
    assert 500 == project.get("sync_view").status_code


@pytest.mark.parametrize("view", [ambient_view, async_ambient_view])
def test_the_current_tenant(project: Any, view: Any) -> None:
    """With `current`, the request's tenant is the current one in its view, and in none after."""
    project.serve(view, tenant=by_header, current=True)
    answers = [
        project.get(view.__name__, **{"X-Tenant": tenant}).content
        for tenant in ("acme", "globex", "", "secret", "acme")
    ]
    assert [b"acme", b"globex", b"nobody", b"nobody", b"acme"] == answers
    with pytest.raises(NoCurrentTenantError):
        current_tenant()


@pytest.mark.parametrize("view", [ambient_view, async_ambient_view])
def test_no_current_tenant(project: Any, view: Any) -> None:
    """Without `current` nothing is said of a current tenant."""
    project.serve(view, tenant=by_header)
    assert b"nobody" == project.get(view.__name__, **{"X-Tenant": "acme"}).content


def test_a_view_that_logs_in(project: Any, user: Callable[[str], Any]) -> None:
    """Whoever logs in within a view is served as who they are then."""
    from django.contrib.auth import login

    someone = user("globex")

    def view(request: TenantRequest) -> HttpResponse:
        login(request, someone)
        request.openai.models.list()
        return HttpResponse(request.openai.tenant)  # type: ignore[attr-defined]

    project.serve(view, tenant=by_user)
    project.login(user("acme"))
    assert b"globex" == project.get("view").content


def test_a_stream(setting: dict[str, Any]) -> None:
    """A streamed answer goes on after the middleware is done with its request."""

    def view(request: TenantRequest) -> StreamingHttpResponse:
        def body() -> Iterator[str]:
            with request.openai.chat.completions.create(
                model="m", messages=MESSAGES, stream=True
            ) as chunks:
                for chunk in chunks:
                    yield chunk.choices[0].delta.content or "" if chunk.choices else ""

        return StreamingHttpResponse(body())

    with serving(setting | {"tenant": by_header}, view):
        answer = Client().get("/view", headers={"X-Tenant": "acme"})
        assert b"Hello from tenantry." == answer.getvalue()


async def test_an_async_stream(setting: dict[str, Any]) -> None:
    """The same over ASGI, from an async view."""

    async def view(request: TenantRequest) -> StreamingHttpResponse:
        async def body() -> AsyncIterator[str]:
            async with await request.async_openai.chat.completions.create(
                model="m", messages=MESSAGES, stream=True
            ) as chunks:
                async for chunk in chunks:
                    yield chunk.choices[0].delta.content or "" if chunk.choices else ""

        return StreamingHttpResponse(body())

    with serving(setting | {"tenant": by_header}, view):
        answer = await AsyncClient().get("/view", headers={"X-Tenant": "acme"})
        assert b"Hello from tenantry." == b"".join([part async for part in answer])


async def test_many_at_once(setting: dict[str, Any]) -> None:
    """Requests that are served at the same time have each their own tenant."""

    async def view(request: TenantRequest) -> HttpResponse:
        await asyncio.sleep(0)
        await request.async_openai.models.list()
        return HttpResponse(current_tenant())

    names = ["acme", "globex"] * 10
    with serving(setting | {"tenant": by_header, "current": True}, view):
        asked = (AsyncClient().get("/view", headers={"X-Tenant": name}) for name in names)
        assert names == [answer.content.decode() for answer in await asyncio.gather(*asked)]


@contextmanager
def serving(said: dict[str, Any], view: Any) -> Iterator[None]:
    with override_settings(TENANTRY=said, ROOT_URLCONF=(path("view", view),)):
        yield
