"""`manage.py check` tells what is wrong with the setting, and with what it names."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import override_settings

from tenantry.integrations.django import from_user, subdomain
from tenantry.integrations.django.opened import holder

if TYPE_CHECKING:
    from pathlib import Path

    from tenantry import ClientRegistry

AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
OURS = "tenantry.integrations.django.middleware.TenantryMiddleware"
ACME = {"acme": {"api_key": {"env": "KEY"}}}


def found(said: Any, **settings: Any) -> list[Any]:
    with override_settings(TENANTRY=said, **settings):
        messages: list[Any] = run_checks(tags=["tenantry"])
        assert None is holder.at_once
        return messages


def ids(said: Any, **settings: Any) -> list[str]:
    return [message.id for message in found(said, **settings)]


def test_nothing_is_wrong(configured: dict[str, Any]) -> None:
    """A right project has nothing to tell, and nothing is opened or fetched to see that."""
    assert [] == ids(configured | {"tenant": from_user("last_name")})


def test_no_setting() -> None:
    """Without the setting, the check says what to write."""
    [message] = run_checks(tags=["tenantry"])
    assert "tenantry.E001" == message.id
    assert "the settings have no TENANTRY" in message.msg


def test_an_unknown_option() -> None:
    """A misspelt option is one message, and what depends on it is not guessed at."""
    [message] = found({"confg": "t.yaml"})
    assert ("tenantry.E001", True) == (message.id, "did you mean 'config'?" in message.msg)


def test_a_broken_configuration(tmp_path: Path) -> None:
    """Each problem of the configuration is a message with its file and line."""
    file = tmp_path / "tenants.yaml"
    file.write_text("tenents: {}\nregistry: {warm: everything}\n")
    messages = found(file)
    assert {"tenantry.E002"} == {message.id for message in messages}
    assert [f"{file}:1:1", f"{file}:2:12"] == sorted(str(message.obj) for message in messages)
    assert any("tenents: unknown key 'tenents'" in message.msg for message in messages)


def test_no_such_file(tmp_path: Path) -> None:
    """A configuration that is not there is told with its path."""
    [message] = found(tmp_path / "none.yaml")
    assert ("tenantry.E002", True) == (message.id, "none.yaml" in str(message))


def test_one_broken_tenant(tmp_path: Path) -> None:
    """A tenant in quarantine stops nobody else: it is a warning, with its file and line."""
    file = tmp_path / "tenants.yaml"
    file.write_text(
        "tenants:\n  acme: {api_key: {env: A}}\n  globex: {api_key: {env: B}, retries: 2}\n"
    )
    [message] = found(file)
    assert ("tenantry.W001", f"{file}:3:31") == (message.id, str(message.obj))
    file.write_text("registry: {on_problem: fail}\n" + file.read_text())
    assert ["tenantry.E002"] == ids(file)


def test_a_check_shows_no_secret(tmp_path: Path) -> None:
    """A secret that stands where it should not is not shown by what tells of it."""
    file = tmp_path / "tenants.yaml"
    file.write_text("tenants:\n  acme: {api_key: sk-planted-1234}\n")
    with override_settings(TENANTRY=file), pytest.raises(SystemCheckError) as caught:
        call_command("check", stdout=io.StringIO(), stderr=io.StringIO())
    assert f"{file}:2:" in str(caught.value)
    assert "sk-planted-1234" not in str(caught.value)


def test_an_unknown_resolver() -> None:
    """A resolver that cannot be imported is told before a request needs it."""
    [message] = found({"config": {"tenants": ACME}, "tenant": "shop.tenant_of"})
    assert ("tenantry.E003", True) == (message.id, "No module named 'shop'" in message.msg)


@pytest.mark.parametrize(
    ("middleware", "expected"),
    [
        ([AUTHENTICATION, OURS], []),
        ([OURS], []),
        ([OURS, AUTHENTICATION], ["tenantry.E004"]),
        ([AUTHENTICATION], ["tenantry.W002"]),
        ([f"{__name__}.Ours", f"{__name__}.no_class", AUTHENTICATION], ["tenantry.W002"]),
    ],
)
def test_middleware(middleware: list[str], expected: list[str]) -> None:
    """The middleware has to be there, and behind authentication."""
    said = {"config": {"tenants": ACME}, "tenant": from_user("last_name")}
    assert expected == ids(said, MIDDLEWARE=middleware)


def test_derived_middleware() -> None:
    """What is derived from a middleware counts as that middleware."""
    derived = "django.contrib.auth.middleware.RemoteUserMiddleware"
    said = {"config": {"tenants": ACME}}
    assert [] == ids(said, MIDDLEWARE=[OURS, derived])
    assert ["tenantry.E004"] == ids(
        said, MIDDLEWARE=[OURS, "django.middleware.common.CommonMiddleware", AUTHENTICATION]
    )


def test_a_secret_in_the_settings(tmp_path: Path) -> None:
    """A secret as text in the settings would be shown by `diffsettings` and debug pages."""
    said = {"tenants": {"acme": {"api_key": {"first_of": [{"literal": "sk-planted-1234"}]}}}}
    [message] = found(said)
    assert "tenantry.W003" == message.id
    assert "sk-planted" not in str(message)
    assert [] == ids({"tenants": ACME})


def test_any_host() -> None:
    """A tenant from the host needs hosts that are checked."""
    resolver = subdomain("example.com", authorize="operator.eq")
    said = {"config": {"tenants": ACME}, "tenant": resolver}
    assert [] == ids(said)
    assert ["tenantry.W004"] == ids(said, ALLOWED_HOSTS=["*"])


def test_the_applications_own_registry(registry: ClientRegistry) -> None:
    """Of a registry that the application opens itself, the configuration is its own matter."""
    assert [] == ids({"registry": registry})
