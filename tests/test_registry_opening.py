"""What `ClientRegistry.open` takes, and where it looks for a configuration."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tenantry import ClientRegistry, ConfigError, Settings
from tenantry.catalog import Catalog

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from tenantry.errors import Problem
    from tenantry.loading import Tenant
    from tenantry.testing import OpenAIServer

KEYS = {"KEY_ACME": "sk-acme-0123456789", "KEY_GLOBEX": "sk-globex-0123456789"}
FILE = """
tenants:
  acme: {api_key: {env: KEY_ACME}}
"""
OTHER_FILE = """
tenants:
  globex: {api_key: {env: KEY_GLOBEX}}
"""


@pytest.fixture
def server(openai_server: OpenAIServer) -> OpenAIServer:
    for key in KEYS.values():
        openai_server.allow(key)
    return openai_server


@pytest.fixture
def config(server: OpenAIServer) -> dict[str, Any]:
    acme = {"base_url": server.base_url, "api_key": {"env": "KEY_ACME"}}
    azure = {"provider": "azure", "azure_endpoint": server.url, "api_version": "2024-10-21"}
    return {"tenants": {"acme": acme, "globex": {**azure, "api_key": {"env": "KEY_GLOBEX"}}}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tenants.yaml"
    path.write_text(FILE)
    return path


def tenants_of(config: Any, environ: Mapping[str, str] | None = None) -> list[str]:
    with ClientRegistry.open(config, environ=KEYS if environ is None else environ) as registry:
        return sorted(registry.tenants)


def test_a_file_is_opened(file: Path) -> None:
    """A path, or its text, is a file of tenants."""
    assert ["acme"] == tenants_of(file) == tenants_of(str(file))


def test_a_directory_is_opened(file: Path) -> None:
    """A directory is all the files in it."""
    (file.parent / "others.yaml").write_text(OTHER_FILE)
    assert ["acme", "globex"] == tenants_of(file.parent)


def test_several_files_are_opened(file: Path, tmp_path: Path) -> None:
    """Several paths are a union."""
    other = tmp_path / "others.yaml"
    other.write_text(OTHER_FILE)
    assert ["acme", "globex"] == tenants_of([file, str(other)])


def test_a_mapping_is_opened() -> None:
    """A mapping says what a file would."""
    assert ["acme"] == tenants_of({"tenants": {"acme": {"api_key": {"env": "KEY_ACME"}}}})


def test_settings_are_opened() -> None:
    """`Settings` say what a file would."""
    assert ["acme"] == tenants_of(Settings(tenants={"acme": {"api_key": {"env": "KEY_ACME"}}}))


def test_a_catalog_is_opened(config: dict[str, Any], server: OpenAIServer) -> None:
    """A catalog brings the tenants; nothing else has to be said."""
    with ClientRegistry.open(config, environ=KEYS) as registry:
        assert isinstance(registry.catalog, Catalog)
        with ClientRegistry.open(registry.catalog, environ=KEYS) as other:
            assert sorted(registry.tenants) == sorted(other.tenants)
            other.client("acme").models.list()
    assert 1 == server.count(status=200)


def test_a_variable_names_the_configuration(file: Path, tmp_path: Path) -> None:
    """Without a configuration TENANTRY_CONFIG names it, several files as PATH would."""
    other = tmp_path / "others.yaml"
    other.write_text(OTHER_FILE)
    said = {**KEYS, "TENANTRY_CONFIG": f"{file}{os.pathsep}{other}"}
    assert ["acme", "globex"] == tenants_of(None, said)


def test_a_file_of_the_working_directory_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without either, config/tenants.yaml of the working directory is opened, if it is there."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config/tenants.yaml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    assert ["acme"] == tenants_of(None)


def test_the_environment_alone_may_say_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any file, variables define tenants."""
    monkeypatch.chdir(tmp_path)
    environ = {"TENANTRY_TENANTS__ACME__API_KEY": "sk-acme"}
    assert ["acme"] == tenants_of(None, environ)


def test_the_environment_is_the_processs_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `environ` it is `os.environ`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENANTRY_TENANTS__ACME__API_KEY", "sk-acme")
    with ClientRegistry.open() as registry:
        assert ["acme"] == list(registry.tenants)


def test_nothing_at_all_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration without tenants says what to do."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="no tenants"):
        ClientRegistry.open(environ={})


def test_opening_asks_nobody(server: OpenAIServer, config: dict[str, Any]) -> None:
    """No secret is read and no request is sent before a client is used."""
    with ClientRegistry.open(config, environ={}) as registry:
        registry.client("acme")
        registry.async_client("globex")
    assert 0 == server.connections


class Own:
    """The least that a catalog is."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def get(self, name: str) -> Tenant:
        return self._tenant

    def names(self) -> Collection[str]:
        return ("acme",)

    def problems(self, name: str) -> tuple[Problem, ...]:
        return ()

    @property
    def revision(self) -> int:
        return 1

    def changes(self, since: int) -> None:
        return None


def test_a_catalog_may_be_anybodys(config: dict[str, Any], server: OpenAIServer) -> None:
    """What has the methods of a catalog is one."""
    with ClientRegistry.open(config, environ=KEYS) as registry:
        acme = registry.catalog.get("acme")
    with ClientRegistry.open(Own(acme), environ=KEYS) as own:
        own.client("acme").models.list()
    assert 1 == len(server.requests)
    assert ["acme"] == list(own.tenants)
