"""The samples under config/ load, whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenantry import ClientRegistry

CONFIG = Path(__file__).parent.parent / "config"

SAMPLES = {
    "tenants.yaml": {
        *("acme", "globex", "initech", "umbrella", "wonka", "hooli", "stark", "dev"),
    },
    "directory": {"acme", "globex", "initech", "umbrella"},
}


@pytest.mark.parametrize(("sample", "names"), SAMPLES.items())
def test_a_sample_loads(sample: str, names: set[str]) -> None:
    """Every tenant of a sample is there, and none is quarantined."""
    environ = {"OPENAI_API_KEY": "key-of-dev"}
    with ClientRegistry.open(CONFIG / sample, environ=environ) as registry:
        assert names == set(registry.tenants)
        assert [] == [name for name in names if registry.status(name).problems]


def test_variables_alone_make_tenants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample of variables makes two tenants, with no file at all."""
    monkeypatch.chdir(tmp_path)
    lines = (CONFIG / "environment.env").read_text().splitlines()
    environ = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    with ClientRegistry.open(environ=environ) as registry:
        assert {"acme", "globex"} == set(registry.tenants)
        assert "azure" == registry.status("globex").provider


def test_every_file_under_config_is_a_sample() -> None:
    """A sample that no test loads would rot."""
    assert {*SAMPLES, "environment.env", "tenantry.schema.json"} == {
        path.name for path in CONFIG.iterdir()
    }
