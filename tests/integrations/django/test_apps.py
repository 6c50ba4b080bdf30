"""The application follows changes of settings, and registers what Django asks it for."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.core.checks.registry import registry as checks
from django.core.management import get_commands
from django.test import override_settings

from tenantry import RegistryClosedError
from tenantry.integrations.django import clients
from tenantry.integrations.django.opened import holder


def test_changed_settings_open_a_new_one(configured: dict[str, Any]) -> None:
    """`override_settings` closes the old registry; the new one is opened when it is needed."""
    before = clients["acme"]
    other = {"config": {"tenants": {"hooli": {"api_key": {"literal": "sk"}}}}}
    with override_settings(TENANTRY=other):
        assert None is holder.at_once
        assert ["hooli"] == list(clients)
        with pytest.raises(RegistryClosedError):
            before.models.list()
    assert "hooli" not in clients
    with override_settings(USE_TZ=False):
        assert holder.at_once is not None


def test_what_it_registers() -> None:
    """Django finds it by the name of the package, with its checks and its command."""
    assert "tenantry.integrations.django" == apps.get_app_config("tenantry").name
    assert checks.tag_exists("tenantry")
    assert "tenantry.integrations.django" == get_commands()["tenantry"]
