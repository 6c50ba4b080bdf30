"""The front door: names, and what opening it costs."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import tenantry

HEAVY = (
    *("pydantic", "pydantic_settings", "openai", "httpx", "httpx2", "hvac", "azure", "requests"),
    *("dependency_injector", "structlog", "yaml", "click", "django", "fastapi"),
)


@pytest.mark.parametrize("name", tenantry.__all__)
def test_every_name_resolves(name: str) -> None:
    """Every public name is what its own module calls so, and is documented."""
    value = getattr(tenantry, name)
    home = importlib.import_module(f"tenantry.{tenantry._HOME_OF[name]}")
    assert value is getattr(home, name)
    assert value.__doc__


def test_names_are_listed_once_and_sorted() -> None:
    """`__all__` and the table of homes hold the same names."""
    assert sorted(tenantry._HOME_OF) == tenantry.__all__


def test_dir_shows_every_name() -> None:
    """`dir(tenantry)` shows names that were not loaded yet."""
    assert set(tenantry.__all__) <= set(dir(tenantry))


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A name that is not there fails as with any module."""
    unknown = "ClientRegistrar"
    with pytest.raises(
        AttributeError, match="module 'tenantry' has no attribute 'ClientRegistrar'"
    ):
        getattr(tenantry, unknown)


def test_a_star_import_has_every_name() -> None:
    """`from tenantry import *` works without extras."""
    script = "from tenantry import *; print(ClientRegistry.__name__)"
    assert "ClientRegistry" == run(script)


def test_importing_is_cheap() -> None:
    """`import tenantry` loads none of the packages that it stands on."""
    script = f"import sys, tenantry; print([name for name in {HEAVY} if name in sys.modules])"
    assert "[]" == run(script)


def test_errors_are_cheap() -> None:
    """Naming an error or `use_tenant` loads none of them either."""
    script = (
        "import sys; from tenantry import UnknownTenantError, use_tenant;"
        f" print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert "[]" == run(script)


def test_keys_of_the_environment_need_no_store() -> None:
    """A process whose keys are in variables loads nothing of Vault, Entra or a database."""
    stores = ("hvac", "azure", "msal", "botocore", "google", "psycopg", "dependency_injector")
    script = (
        "import sys; from tenantry import ClientRegistry\n"
        "said = {'tenants': {'acme': {'api_key': {'env': 'KEY'}}}}\n"
        "with ClientRegistry.open(said, environ={'KEY': 'sk-1'}) as registry:\n"
        "    registry.client('acme', timeout=5), registry.status('acme')\n"
        f"print([name for name in {stores} if name in sys.modules])"
    )
    assert "[]" == run(script)


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
