"""`/livez` and `/readyz` answer whoever starts and stops processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client, override_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry import ClientRegistry
    from tenantry.testing import VaultServer

LOGIN_REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"


@pytest.fixture
def said(setting: dict[str, Any], vault_server: VaultServer) -> Iterator[dict[str, Any]]:
    """A tenant whose key is in Vault; the views are all that is served."""
    auth = {"token": {"literal": vault_server.root_token}}
    setting["config"]["sources"] = {"vault": {"address": vault_server.url, "auth": auth}}
    setting["config"]["tenants"]["hooli"] = {"api_key": {"vault": "hooli"}}
    with override_settings(TENANTRY=setting, ROOT_URLCONF="tenantry.integrations.django.urls"):
        yield setting


def test_ready(said: dict[str, Any], vault_server: VaultServer) -> None:
    """Ready is who has a configuration, and whose sources of secrets deliver."""
    vault_server.put("hooli", {"api_key": "sk-hooli"})
    answer = Client().get("/readyz")
    assert (200, "ok", {"vault": "ok"}) == (answer.status_code, *answer.json().values())


def test_not_ready(said: dict[str, Any], vault_server: VaultServer) -> None:
    """A source that cannot deliver is named; why, is told in the log of the process only."""
    vault_server.seal()
    answer = Client().get("/readyz")
    assert 503 == answer.status_code
    assert {"status": "unavailable", "sources": {"vault": "unavailable"}} == answer.json()


def test_no_configuration(said: dict[str, Any], tmp_path: Any) -> None:
    """A process whose configuration cannot be used lives, but is not ready."""
    with override_settings(TENANTRY=tmp_path / "none.yaml"):
        assert 503 == Client().get("/readyz").status_code
        assert 200 == Client().get("/livez").status_code


def test_a_closed_registry(said: dict[str, Any], registry: ClientRegistry) -> None:
    """A process whose registry was closed is not ready any more."""
    registry.close()
    with override_settings(TENANTRY={"registry": registry}):
        answer = Client().get("/readyz")
    assert (503, {"status": "unavailable"}) == (answer.status_code, answer.json())


def test_probes(said: dict[str, Any], vault_server: VaultServer, database: None) -> None:
    """Nobody has to log in, nothing is cached, and nothing but GET and HEAD is answered."""
    vault_server.put("hooli", {"api_key": "sk-hooli"})
    with override_settings(MIDDLEWARE=[*_middleware(), LOGIN_REQUIRED]):
        for url in ("/livez", "/readyz"):
            answer = Client().get(url)
            assert (200, True) == (answer.status_code, "no-store" in answer["Cache-Control"])
            assert (200, 405) == (Client().head(url).status_code, Client().post(url).status_code)


def _middleware() -> list[str]:
    from django.conf import settings

    return list(settings.MIDDLEWARE)
