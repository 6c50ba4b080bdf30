"""The application: `INSTALLED_APPS = [..., "tenantry.integrations.django"]`."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register
from django.core.signals import got_request_exception, setting_changed
from django.utils.autoreload import autoreload_started, file_changed

from tenantry.integrations.django import autoreload, checks
from tenantry.integrations.django.middleware import remember
from tenantry.integrations.django.opened import holder
from tenantry.integrations.django.options import SETTING


class TenantryApp(AppConfig):
    """Registers the checks, and follows changes of settings and of the configuration's files."""

    name = "tenantry.integrations.django"
    label = "tenantry"
    verbose_name = "tenantry"

    def ready(self) -> None:
        for check in checks.ALL:
            register(check, "tenantry")
        setting_changed.connect(_on_setting_changed)
        got_request_exception.connect(remember)
        autoreload_started.connect(autoreload.watch)
        file_changed.connect(autoreload.reload_in_place)


def _on_setting_changed(setting: str, **_: object) -> None:
    if setting == SETTING:
        holder.reset()
