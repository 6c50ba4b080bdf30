"""`runserver` takes a changed configuration in place."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from django.test import override_settings
from django.utils.autoreload import StatReloader, autoreload_started, file_changed

from tenantry.integrations.django import clients, get_registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tenantry import ClientRegistry

ACME = "tenants: {acme: {api_key: {literal: sk}}}"
BOTH = "tenants: {acme: {api_key: {literal: sk}}, globex: {api_key: {literal: sk}}}"


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "tenants.yaml"
    file.write_text(ACME)
    with override_settings(TENANTRY=file):
        yield file


def told(file: Path) -> bool:
    """Tell that a file changed; return whether the process goes on as it is."""
    return any(answer for _, answer in file_changed.send(None, file_path=file))


def watched() -> list[Path]:
    reloader = StatReloader()
    autoreload_started.send(reloader)
    return [file for file in reloader.watched_files() if file.suffix in (".yaml", ".yml")]


def test_the_file_is_watched(file: Path) -> None:
    """The reloader looks at the configuration, and at nothing beside it."""
    (file.parent / "other.yaml").touch()
    assert [file] == watched()


def test_a_directory_is_watched(file: Path) -> None:
    """Of a directory all files are looked at that a configuration is read from."""
    (file.parent / "more").mkdir()
    other = file.parent / "more" / "other.yml"
    other.write_text("tenants: {globex: {api_key: {literal: sk}}}")
    with override_settings(TENANTRY=file.parent):
        assert {file, other} == set(watched())
        assert "globex" in clients
        assert told(other)


def test_the_default_is_watched(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What TENANTRY_CONFIG names is watched, too."""
    monkeypatch.setenv("TENANTRY_CONFIG", str(file))
    with override_settings(TENANTRY={}):
        assert [file] == watched()


def test_a_change_in_place(file: Path) -> None:
    """A changed configuration is taken without a new process, and clients go on."""
    registry, client = get_registry(), clients["acme"]
    file.write_text(BOTH)
    assert told(file)
    assert (registry, client) == (get_registry(), clients["acme"])
    assert "globex" in clients


def test_a_broken_change(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be used is logged, and everything goes on as before."""
    client = clients["acme"]
    file.write_text("tenants: [")
    with caplog.at_level(logging.WARNING, "tenantry"):
        assert told(file)
        assert client is clients["acme"]
        get_registry().close()  # what is to be logged is
    assert f"{file}:2:1: not YAML" in caplog.text


def test_before_the_first_use(file: Path) -> None:
    """Where no registry is open the process starts anew: it may have stopped at a check."""
    assert not told(file)


def test_other_files(file: Path) -> None:
    """Other files are none of our business."""
    get_registry()
    assert not told(file.with_name("views.py"))


@pytest.mark.parametrize("said", [{"confg": "t.yaml"}, {"tenants": {}}, None])
def test_no_files(file: Path, said: Any) -> None:
    """A setting without files, or that cannot be used, has nothing to watch."""
    with override_settings(TENANTRY=said):
        assert [] == watched()


def test_the_applications_own_registry(file: Path, registry: ClientRegistry) -> None:
    """What the application opened itself is reloaded by the application."""
    with override_settings(TENANTRY={"registry": registry}):
        assert [] == watched()
