"""Functions get their clients injected: in FastAPI without a thread, in Django, and anywhere."""

from __future__ import annotations

import inspect
import json
import queue
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from dependency_injector import providers, wiring

from tenantry.integrations.dependency_injector import AsyncProvide, TenantryContainer, inject
from tenantry.testing.serving import LoopbackServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp

    from tenantry.testing import OpenAIServer

REQUESTS = 20  # of each tenant
POSTPONED = "from __future__ import annotations"

# Text, so that the same module can be made with and without postponed annotations.
ENDPOINTS = """
from collections.abc import AsyncIterator
from typing import Annotated

from anyio import to_thread
from dependency_injector.wiring import Provide
from fastapi import Depends, FastAPI
from openai import AsyncOpenAI, OpenAI

from tenantry import use_tenant
from tenantry.integrations.dependency_injector import (
    AsyncClientFor, AsyncProvide, TenantryContainer, inject
)

async def as_tenant(tenant: str) -> AsyncIterator[None]:
    with use_tenant(tenant):
        yield

async def every_thread_busy() -> AsyncIterator[None]:
    limiter = to_thread.current_default_thread_limiter()
    borrowers = [object() for _ in range(int(limiter.total_tokens))]
    for borrower in borrowers:
        limiter.acquire_on_behalf_of_nowait(borrower)
    yield
    for borrower in borrowers:
        limiter.release_on_behalf_of(borrower)

api = FastAPI(dependencies=[Depends(as_tenant)])
Client = Annotated[AsyncOpenAI, Depends(AsyncProvide[TenantryContainer.async_client])]

@api.get("/async")
@inject
async def async_endpoint(client: Client) -> str:
    return (await client.models.list()).object

@api.get("/sync")
@inject
def sync_endpoint(client: Annotated[OpenAI, Depends(Provide[TenantryContainer.client])]) -> str:
    return client.models.list().object

@api.get("/provider")
@inject
async def endpoint_with_provider(
    client_for: Annotated[
        AsyncClientFor, Depends(AsyncProvide[TenantryContainer.async_client.provider])
    ],
) -> str:
    return (await client_for(max_retries=0).models.list()).object

@api.get("/busy", dependencies=[Depends(every_thread_busy)])
@inject
async def busy_endpoint(client: Client) -> str:
    return (await client.models.list()).object

@api.get("/forgotten")
async def without_inject(client: Client) -> str:
    return (await client.models.list()).object
"""


class Served(LoopbackServer):
    """An application on a socket, and what it raised."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__()
        self.app = app
        self.raised: queue.Queue[Exception] = queue.Queue()

    def application(self) -> ASGIApp:
        async def noting(scope: Any, receive: Any, send: Any) -> None:
            try:
                await self.app(scope, receive, send)
            except Exception as error:
                self.raised.put(error)
                raise

        return noting

    def get(self, path: str, tenant: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}?tenant={tenant}", timeout=30) as answer:
            return json.load(answer)


@pytest.fixture(params=["", POSTPONED], ids=["plain", "postponed"])
def endpoints(request: pytest.FixtureRequest, container: TenantryContainer) -> Iterator[ModuleType]:
    module = ModuleType(f"endpoints_{request.node.callspec.id}")
    sys.modules[module.__name__] = module
    source = f"{request.param}\n{ENDPOINTS}"
    exec(compile(source, module.__name__, "exec", dont_inherit=True), module.__dict__)
    container.wire(modules=[module])
    yield module
    container.unwire()
    del sys.modules[module.__name__]


@pytest.fixture
def served(endpoints: ModuleType) -> Iterator[Served]:
    with Served(endpoints.api) as served:
        yield served


# -- FastAPI --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/async", "/sync", "/provider"])
def test_each_request_gets_its_tenants_client(
    served: Served, openai_server: OpenAIServer, path: str
) -> None:
    """Two tenants at once get a client each, also where annotations are postponed."""
    answers: list[str] = []

    def ask(tenant: str) -> None:
        answers.extend(served.get(path, tenant) for _ in range(REQUESTS))

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("acme", "globex")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert ["list"] * (2 * REQUESTS) == answers
    assert REQUESTS == openai_server.count(tenant="acme", status=200)
    assert REQUESTS == openai_server.count(tenant="globex", status=200)


def test_a_marker_takes_no_thread(served: Served) -> None:
    """An endpoint is answered while every thread of the pool is busy."""
    assert "list" == served.get("/busy", "acme")


def test_a_marker_that_nothing_replaced_says_why(served: Served) -> None:
    """A function without `inject` gets the marker, which says so as soon as it is used."""
    with pytest.raises(urllib.error.HTTPError, match="500"):
        served.get("/forgotten", "acme")
    raised = served.raised.get(timeout=10)
    assert isinstance(raised, AttributeError)
    assert "decorate the function with tenantry's `inject`" in str(raised)


def test_endpoints_that_are_not_wired_say_why(served: Served, container: TenantryContainer) -> None:
    """So does one whose module was not wired, or is not any more."""
    container.unwire()
    with pytest.raises(urllib.error.HTTPError, match="500"):
        served.get("/async", "acme")
    assert "container.wire(modules=[...])" in str(served.raised.get(timeout=10))


def test_a_client_of_an_endpoint_is_overridden(
    served: Served, container: TenantryContainer
) -> None:
    """A test puts its own object in the client's place, for endpoints that are served already."""

    class Stand:
        object = "stand-in"
        models = property(lambda self: self)

        async def list(self) -> Stand:
            return self

    with container.async_client.override(Stand()):
        assert "stand-in" == served.get("/async", "acme")
    assert "list" == served.get("/async", "acme")


# -- anywhere -------------------------------------------------------------------------------------


def module_level(client: Any = wiring.Provide["client"], *, text: str = "hi") -> tuple[Any, str]:
    return client, text


def test_inject_leaves_the_rest_alone(container: TenantryContainer) -> None:
    """Other parameters, the name and the docstring stay; what is passed is not replaced."""
    module = ModuleType("plain_functions")
    function = inject(module_level)
    function.__module__ = module.__name__
    module.function = function  # type: ignore[attr-defined]  # a module of this test
    container.wire(modules=[module])
    stand_in = object()
    with container.client.override(providers.Object(stand_in)):
        assert (stand_in, "hello") == function(text="hello")
    assert ("mine", "hi") == function(client="mine")
    assert ["client", "text"] == list(inspect.signature(function).parameters)


def test_annotations_that_cannot_be_read_are_refused() -> None:
    """A name that exists for type checkers only hides the markers, so that this is said at once."""

    def endpoint(client: Missing) -> None:  # type: ignore[name-defined]  # noqa: F821  # on purpose
        """Never called."""

    with pytest.raises(TypeError, match="name 'Missing' is not defined; import it outside of"):
        inject(endpoint)


def test_a_marker_is_dependency_injectors_own() -> None:
    """What finds and replaces `Provide` does so with ours, and may look for what it has not."""
    assert isinstance(AsyncProvide["client"], wiring.Provide)  # type: ignore[arg-type]  # a class
    assert not hasattr(AsyncProvide["client"], "__wrapped__")


# -- Django ---------------------------------------------------------------------------------------

# In a process of its own: Django is configured once per process.
DJANGO = """
import json, sys, threading, urllib.request
from wsgiref.simple_server import WSGIRequestHandler, make_server

from dependency_injector.wiring import Provide
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from openai import OpenAI

from tenantry import use_tenant
from tenantry.integrations.dependency_injector import TenantryContainer, inject

class ByPath:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        with use_tenant(request.path.strip("/")):
            return self.get_response(request)

@inject
def view(
    request: HttpRequest, tenant: str, client: OpenAI = Provide[TenantryContainer.client]
) -> HttpResponse:
    return HttpResponse(client.models.list().object + " " + client.tenant)

class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass

urlpatterns = [path("<tenant>/", view)]
settings.configure(
    ROOT_URLCONF=__name__, MIDDLEWARE=[__name__ + ".ByPath"], ALLOWED_HOSTS=["127.0.0.1"]
)
container = TenantryContainer(config=json.load(sys.stdin))
container.wire(modules=[__name__])
with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet) as server:
    threading.Thread(target=server.serve_forever).start()
    for tenant in ("acme", "globex"):
        address = f"http://127.0.0.1:{server.server_port}/{tenant}/"
        print(urllib.request.urlopen(address, timeout=30).read().decode())
    server.shutdown()
container.shutdown_resources()
"""


@pytest.mark.parametrize("postponed", [False, True])
def test_a_django_view_gets_its_tenants_client(config: dict[str, Any], *, postponed: bool) -> None:
    """A view of Django is wired like any function, and gets the current tenant's client."""
    source = f"{POSTPONED if postponed else ''}\n{DJANGO}"
    answered = subprocess.run(
        [sys.executable, "-W", "error", "-c", source],
        input=json.dumps(config),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ("list acme\nlist globex\n", "") == (answered.stdout, answered.stderr)
