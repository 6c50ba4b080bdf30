"""Every code block of the README and of docs/ runs."""

from __future__ import annotations

import re
import subprocess
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from tenantry import ClientRegistry
from tenantry import __all__ as exported
from tenantry.cli.commands import tenantry
from tenantry.events import Event
from tenantry.loading import load
from tenantry.settings import (
    PoolSettings,
    ProxySettings,
    RefreshSettings,
    RegistrySettings,
    Settings,
    TenantSettings,
    TlsSettings,
)
from tenantry.sources import kinds

if TYPE_CHECKING:
    from tenantry.testing import EntraServer, OpenAIServer, VaultServer

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# What needs packages, or a test around it, has a test file of its own.
STANDING_ALONE = [path for path in DOCUMENTS[1:] if path.name not in ("recipes.md", "testing.md")]


def blocks(language: str, *documents: Path) -> list[Any]:
    """Return every block of a language, named by its document and line."""
    return [
        pytest.param(match[2], id=f"{path.name}:{text[: match.start()].count(chr(10)) + 1}")
        for path in documents
        for text in [path.read_text()]
        for match in BLOCK.finditer(text)
        if match[1] == language
    ]


PYTHON = blocks("python", ROOT / "README.md")
OK = 200


@pytest.fixture
def readme_world(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    openai_server: OpenAIServer,
    vault_server: VaultServer,
    entra_server: EntraServer,
) -> None:
    """The README's configuration in a directory of its own, on embedded servers."""
    [configuration] = [each.values[0] for each in blocks("yaml", ROOT / "README.md")]
    vault_server.put("tenants/acme", {"api_key": "key-acme"})
    vault_server.add_policy("tenants", 'path "secret/data/tenants/*" { capabilities = ["read"] }')
    role_id, secret_id = vault_server.approle("readme", policies=["tenants"])
    entra_server.on_issue.append(lambda token: openai_server.allow(token.value))
    entra_server.managed_identity()
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "tenants.yaml").write_text(configuration)
    (tmp_path / "secret-id").write_text(secret_id)
    for key in ("key-acme", "key-initech"):
        openai_server.allow(key)
    for name, value in {
        **entra_server.environment(),
        "VAULT_ADDR": vault_server.url,
        "ROLE_ID": role_id,
        "KEY_INITECH": "key-initech",
        "TENANTRY_DEFAULTS__BASE_URL": openai_server.base_url,
        "TENANTRY_TENANTS__GLOBEX__AZURE_ENDPOINT": openai_server.azure_endpoint,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)


def executed(code: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "readme"}
    exec(compile(code, "README.md", "exec", dont_inherit=True), namespace)
    return namespace


@pytest.mark.usefixtures("readme_world")
@pytest.mark.parametrize("code", [each for each in PYTHON if "def test_" not in each.values[0]])
def test_a_python_block_of_the_readme_runs(
    code: str, openai_server: OpenAIServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """A block runs as it stands, against servers, and prints no key."""
    executed(code)
    assert [] == [each for each in openai_server.requests if each.status != OK]
    assert "key-acme" not in capsys.readouterr().out


@pytest.mark.parametrize("code", [each for each in PYTHON if "def test_" in each.values[0]])
def test_a_test_of_the_readme_passes(
    code: str, openai_server: OpenAIServer, tmp_path: Path
) -> None:
    """A test that the README shows to users passes."""
    tests = [each for name, each in executed(code).items() if name.startswith("test_")]
    for test in tests:
        test(openai_server, tmp_path)
    assert 1 == len(tests)


@pytest.mark.parametrize("code", blocks("console", *DOCUMENTS))
def test_a_command_of_the_readme_exists(code: str) -> None:
    """Every command that the README shows is one that make knows."""
    for line in code.split("\n"):
        if line.startswith("make "):
            make = ["make", "-n", *line.split()[1:]]
            done = subprocess.run(make, cwd=ROOT, capture_output=True, check=False)
            assert 0 == done.returncode, done.stderr
        elif line.startswith("tenantry "):
            assert 0 == CliRunner().invoke(tenantry, line.split()[1:]).exit_code
        else:
            assert "" == line


@pytest.mark.parametrize(
    "code", blocks("yaml", ROOT / "docs" / "configuration.md", ROOT / "docs" / "scaling.md")
)
def test_a_configuration_of_the_docs_loads(code: str, tmp_path: Path) -> None:
    """A sample loads whole: no tenant of it is quarantined."""
    (tmp_path / "tenants.yaml").write_text(code)
    assert {} == load(tmp_path / "tenants.yaml", environ={}, kinds=kinds()).quarantined


@pytest.mark.parametrize("code", blocks("shell", *DOCUMENTS))
def test_variables_of_the_docs_load(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables that the docs show make a configuration, where there is no file."""
    monkeypatch.chdir(tmp_path)
    environ = dict(line.split("=", 1) for line in code.split("\n") if line)
    with ClientRegistry.open(environ=environ) as registry:
        assert ["acme"] == list(registry.tenants)


@pytest.mark.parametrize("code", blocks("python", *STANDING_ALONE))
def test_a_python_block_of_the_docs_runs(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block of the docs runs as it stands, where there is a configuration."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "tenants.yaml").write_text("tenants: {acme: {api_key: {env: KEY}}}")
    monkeypatch.chdir(tmp_path)
    executed(code)


DESCRIBED = {
    "configuration.md": [
        *TenantSettings.model_fields,
        *Settings.model_fields,
        *RefreshSettings.model_fields,
        *RegistrySettings.model_fields,
        *PoolSettings.model_fields,
        *ProxySettings.model_fields,
        *TlsSettings.model_fields,
        *kinds(),
    ],
    "errors.md": [name for name in exported if name.endswith("Error") and name != "TenantryError"],
    "events.md": [event.__name__ for event in Event.__subclasses__()],
    "command-line.md": [
        option
        for command in (tenantry, *tenantry.commands.values())
        for parameter in command.params
        for option in parameter.opts
    ],
}


@pytest.mark.parametrize(
    ("document", "name"), [(file, name) for file, names in DESCRIBED.items() for name in names]
)
def test_everything_is_described(document: str, name: str) -> None:
    """Every setting, kind of source, error, event and option stands in its document."""
    assert re.search(rf"`[^`]*\b{name.lstrip('-')}\b[^`]*`", (ROOT / "docs" / document).read_text())


def test_the_problems_of_the_docs_are_what_is_shown(tmp_path: Path) -> None:
    """The sample of an error is what such a configuration really gives."""
    [shown] = [each.values[0] for each in blocks("text", ROOT / "docs" / "configuration.md")]
    said = "# two\n# lines\n\ntenants:\n  acme: {tmeout: 30}\n  globex:\n"
    (tmp_path / "config").mkdir()
    file = tmp_path / "config" / "tenants.yaml"
    file.write_text(said)
    with pytest.raises(Exception, match="problems in the configuration") as caught:
        ClientRegistry.open(file, environ={})
    actual = str(caught.value).replace(f"{tmp_path}/", "")
    assert textwrap.dedent(shown).strip() == actual


def test_what_the_architecture_names_is_there() -> None:
    """Whoever follows a path of it arrives."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"`([a-z_/]+(?:\.py|/))`", text))
    assert len(named) > 50
    gone = [path for path in named if not any((ROOT / "src").rglob(path))]
    assert [] == [path for path in gone if not (ROOT / path).exists()]
