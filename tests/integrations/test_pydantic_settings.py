from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tenantry import ClientRegistry, ConfigError, Settings
from tenantry.integrations.pydantic_settings import TenantrySource

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION = """\
registry: {warm: none}
defaults: {max_retries: 5}
tenants:
  acme:
    api_key: {literal: sk-planted-1234}
  globex:
    api_key: {env: KEY_GLOBEX}
    timeout: 30
"""


class Database(BaseModel):
    host: str = "localhost"
    port: int = 5432


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "tenants.yaml"
    file.write_text(CONFIGURATION)
    return file


def application(file: Path, *, files_last: bool = False) -> type[BaseSettings]:
    """Return an application's settings, with the files before or behind its variables."""

    class AppSettings(BaseSettings):
        model_config = SettingsConfigDict(env_prefix="TENANTRY_", env_nested_delimiter="__")

        debug: bool = False
        database: Database = Database()
        tenantry: Settings

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            files = TenantrySource(settings_cls, file)
            between = (env_settings, files) if files_last else (files, env_settings)
            return (init_settings, *between)

    return AppSettings


def opened(settings: Any, **environ: str) -> ClientRegistry:
    return ClientRegistry.open(settings.tenantry, environ=environ)


def explained(registry: ClientRegistry, tenant: str) -> dict[str, tuple[str, str]]:
    return {each.name: (each.value, each.origin) for each in registry.explain(tenant)}


def test_tenants_of_an_application(file: Path) -> None:
    """An application's settings carry the tenants, and a registry opens them."""
    settings: Any = application(file)(debug=True)
    with opened(settings) as registry:
        assert settings.debug
        assert {"acme", "globex"} == set(registry.tenants)
        assert registry.client("acme") is registry.client("acme")


def test_places_are_kept(file: Path) -> None:
    """Every value still knows its line, and variables lie over it as always."""
    name = "TENANTRY_TENANTS__GLOBEX__ORGANIZATION"
    with opened(application(file)(), **{name: "org"}) as registry:
        settings = explained(registry, "globex")

    assert ("5", f"{file}:2:12") == settings["max_retries"]
    assert ("30", f"{file}:8:5") == settings["timeout.read"]
    assert ("org", f"env {name}") == settings["organization"]


def test_a_tenants_mistake_stops_that_tenant_only(file: Path) -> None:
    """A tenant is validated when the registry opens, and told with its file and line."""
    file.write_text(CONFIGURATION.replace("timeout: 30", "tmeout: 30"))
    with opened(application(file)()) as registry:
        [problem] = registry.status("globex").problems
        assert () == registry.status("acme").problems

    assert f"{file}:8:5: tenants.globex.tmeout: unknown key 'tmeout'" in str(problem)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("registry: {warm: everything}", "1:12: registry.warm: has to be 'none'"),
        ("tenents: {}", "1:1: tenents: unknown key 'tenents'"),
        ("tenants: [acme]", "1:1: tenants: is not a mapping"),
        ("tenants: {acme: {organization: '${ORG}'}}", "variable ORG is not set"),
        ("tenants: {", "not YAML"),
    ],
)
def test_other_mistakes_stop_the_application(
    file: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    """What is wrong with anything but tenants is an error of ours, with file and line."""
    monkeypatch.delenv("ORG", raising=False)
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        application(file)()

    assert f"{file}:" in str(caught.value)
    assert told in str(caught.value)


def test_empty_layers(file: Path) -> None:
    """What a file leaves empty says nothing."""
    file.write_text("defaults:\nprofiles:\nsources:\ntenants: {acme: {api_key: {env: A}}}\n")
    with opened(application(file)()) as registry:
        assert {"acme"} == set(registry.tenants)


def test_an_application_of_our_prefix(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nested variables of an application that bears our prefix go to whom they belong."""
    monkeypatch.setenv("TENANTRY_DEBUG", "true")
    monkeypatch.setenv("TENANTRY_DATABASE__HOST", "db")
    monkeypatch.setenv("TENANTRY_TENANTS__ACME__TIMEOUT", "7")
    settings: Any = application(file)()
    with ClientRegistry.open(settings.tenantry) as registry:
        timeout = explained(registry, "acme")["timeout.read"]

    assert (True, "db", 5432) == (settings.debug, settings.database.host, settings.database.port)
    assert ("7", "env TENANTRY_TENANTS__ACME__TIMEOUT") == timeout


@pytest.mark.parametrize("files_last", [True, False])
def test_an_application_says_a_part(
    file: Path, monkeypatch: pytest.MonkeyPatch, files_last: bool
) -> None:
    """What the application's own variables say of the field is merged with the files."""
    monkeypatch.setenv("TENANTRY_TENANTRY__REGISTRY__MAX_CLIENTS", "7")
    monkeypatch.setenv("TENANTRY_TENANTRY__REGISTRY__WARM", "local")
    monkeypatch.setenv("TENANTRY_TENANTRY__TENANTS__GLOBEX__TIMEOUT", "60s")
    monkeypatch.setenv("TENANTRY_TENANTRY__TENANTS__HOOLI__API_KEY", '{"env": "KEY_HOOLI"}')
    settings: Any = application(file, files_last=files_last)()
    with opened(settings) as registry:
        timeout, _ = explained(registry, "globex")["timeout.read"]
        assert {"acme", "globex", "hooli"} == set(registry.tenants)

    assert 7 == settings.tenantry.registry.max_clients
    assert ("local" if files_last else "none") == settings.tenantry.registry.warm
    assert ("60s" if files_last else "30") == timeout


def test_settings_in_code(file: Path) -> None:
    """What the application is given in code lies over the files."""
    settings: Any = application(file)(tenantry={"tenants": {"acme": {"project": "p"}}})
    with opened(settings) as registry:
        assert "p" == explained(registry, "acme")["project"][0]
        assert f"{file}:8:5" == explained(registry, "globex")["timeout.read"][1]


def test_settings_that_are_made(file: Path) -> None:
    """Settings that the application made itself replace the files."""
    made = Settings(tenants={"umbrella": {"api_key": {"env": "KEY"}}})
    with opened(application(file)(tenantry=made)) as registry:
        assert {"umbrella"} == set(registry.tenants)


def test_variables_in_files(file: Path) -> None:
    """`${NAME}` is filled in from the environment that the source was given."""

    class AppSettings(BaseSettings):
        clients: Settings

    file.write_text('tenants: {acme: {api_key: {env: A}, organization: "${ORG}"}}')
    source = TenantrySource(AppSettings, [file], field="clients", environ={"ORG": "org-1"})
    settings = Settings.model_validate(source()["clients"])

    assert "org-1" == (settings.tenants["acme"] or {})["organization"]
    assert (
        settings.tenants
        == source.get_field_value(AppSettings.model_fields["clients"], "clients")[0]["tenants"]
    )


def test_no_such_field(file: Path) -> None:
    """A field that the settings do not have is a mistake of code, and told at once."""
    with pytest.raises(TypeError, match="AppSettings has no field 'openai'"):
        TenantrySource(application(file), file, field="openai")


def test_secrets_are_not_shown(file: Path) -> None:
    """An application that prints its settings prints no secret of a tenant."""
    assert "sk-planted-1234" not in repr(application(file)())


def test_it_is_not_imported_by_others() -> None:
    """Who does not use the bridge does not pay for pydantic-settings."""
    code = "import sys, tenantry.registry; print('pydantic_settings' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "False" == done.stdout.strip()
