"""A Django project in this process, with users in a database, and two tenants on a server."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.conf import settings
from django.test import AsyncClient, Client, override_settings
from django.urls import path

from tenantry import ClientRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tenantry.testing import OpenAIServer

AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
TENANTRY = "tenantry.integrations.django.middleware.TenantryMiddleware"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
MIDDLEWARE = (SESSIONS, AUTHENTICATION, TENANTRY)

DIRECTORY = Path(mkdtemp(prefix="tenantry-django-"))

settings.configure(
    SECRET_KEY="made-up",
    ALLOWED_HOSTS=[".example.com", "testserver"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DIRECTORY / "db.sqlite3",
        }
    },
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "tenantry.integrations.django",
    ],
    MIDDLEWARE=list(MIDDLEWARE),
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    ROOT_URLCONF=(),
    USE_TZ=True,
)
django.setup()


@pytest.fixture(scope="session")
def database() -> Iterator[None]:
    """The tables of users and sessions, in a file of this process."""
    from django.core.management import call_command
    from django.db import connections

    call_command("migrate", verbosity=0)
    connections.close_all()
    yield
    connections.close_all()


def pytest_unconfigure() -> None:
    shutil.rmtree(DIRECTORY, ignore_errors=True)


@pytest.fixture
def user(database: None) -> Iterator[Callable[[str], Any]]:
    """Makes users; the last name of each is the tenant."""
    from django.contrib.auth.models import User
    from django.db import connections

    yield lambda tenant: User.objects.create_user(f"user-of-{tenant}", last_name=tenant)
    User.objects.all().delete()
    connections.close_all()


@pytest.fixture
def config(openai_server: OpenAIServer) -> dict[str, Any]:
    openai_server.allow("key-acme", tenant="acme")
    openai_server.allow("key-globex", tenant="globex")
    return {
        "registry": {"warm": "none"},
        "defaults": {"base_url": openai_server.base_url, "max_retries": 0},
        "tenants": {
            "acme": {"api_key": {"env": "KEY_ACME"}},
            "globex": {"api_key": {"env": "KEY_GLOBEX"}},
            "off": {"api_key": {"env": "KEY_ACME"}, "enabled": False},
            "keyless": {"api_key": {"env": "KEY_MISSING"}},
        },
    }


@pytest.fixture
def setting(config: dict[str, Any]) -> dict[str, Any]:
    """What `TENANTRY` says; tests add to it."""
    return {"config": config, "environ": {"KEY_ACME": "key-acme", "KEY_GLOBEX": "key-globex"}}


class Project:
    """Serves views, by their names, over one of Django's two handlers."""

    def __init__(self, client: Any, setting: dict[str, Any]) -> None:
        self._client = client
        self._setting = setting
        self._exit = ExitStack()

    def serve(self, *views: Any, middleware: Any = MIDDLEWARE, **options: Any) -> None:
        """Say what `TENANTRY` says, and what is served; the last that was said counts."""
        override = override_settings(
            TENANTRY=self._setting | options,
            ROOT_URLCONF=tuple(path(view.__name__, view) for view in views),
            MIDDLEWARE=list(middleware),
        )
        self._exit.enter_context(override)

    def login(self, user: Any) -> None:
        self._client.force_login(user)

    def get(self, url: str, **headers: str) -> Any:
        answer = self._client.get(f"/{url}", headers=headers)
        return asyncio.run(_awaited(answer)) if asyncio.iscoroutine(answer) else answer

    def close(self) -> None:
        self._exit.close()


async def _awaited(answer: Any) -> Any:
    return await answer


@pytest.fixture(params=[Client, AsyncClient])
def project(request: pytest.FixtureRequest, setting: dict[str, Any]) -> Iterator[Project]:
    """A project over WSGI, and over ASGI."""
    project = Project(request.param(raise_request_exception=False), setting)
    yield project
    project.close()


@pytest.fixture
def configured(setting: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """`TENANTRY` is said; nothing is served."""
    with override_settings(TENANTRY=setting):
        yield setting


@pytest.fixture
def registry(setting: dict[str, Any]) -> Iterator[ClientRegistry]:
    """A registry that the application opened itself."""
    with ClientRegistry.open(setting["config"], environ=setting["environ"]) as registry:
        yield registry
