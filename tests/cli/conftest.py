"""A small estate to run commands on, in this process and as processes on a terminal."""

from __future__ import annotations

import base64
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyte
import pytest
from click.testing import CliRunner, Result

from tenantry import ClientRegistry
from tenantry.cli.commands import tenantry
from tenantry.control.directory import socket_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tenantry.testing import OpenAIServer, VaultServer

TENANTRY = str(Path(sys.executable).with_name("tenantry"))
LIMIT = 100  # seconds that a process may take before the test gives up
COLUMNS, LINES = 80, 200
FOREIGN = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")

CONFIGURATION = """\
sources:
  vault:
    address: {vault}
    auth: {{approle: {{role_id: {role_id}, secret_id: {{env: SECRET_ID}}}}}}

defaults:
  base_url: {openai}
  api_key: {{vault: "tenants/{{tenant}}"}}
  default_headers: {{X-Team: "{header}"}}

tenants:
  acme: {{endpoints: {{eu: {{timeout: 5s}}}}}}
  globex: {{provider: azure, azure_endpoint: {azure}, api_version: "2024-10-21"}}
  initech: {{api_key: {{env: KEY_INITECH}}}}
  wonka:
  hooli: {{enabled: false, api_key: {{literal: {literal}}}}}
  stark: {{tmeout: 30}}
"""


@dataclass
class Estate:
    """A configuration at `config/tenants.yaml` of the working directory, and what it points at."""

    secrets: list[str] = field(default_factory=list)

    def planted(self, name: str) -> str:
        """Return a secret that no command may print."""
        self.secrets.append(f"sk-{name}/planted+secret==")
        return self.secrets[-1]

    def found_in(self, text: str) -> list[str]:
        """Return the secrets that stand in a text: as they are, in base64 and quoted for URLs."""
        return [
            form
            for secret in self.secrets
            for form in (secret, base64.b64encode(secret.encode()).decode(), quote(secret, safe=""))
            if form.rstrip("=") in text
        ]


@pytest.fixture
def estate(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    openai_server: OpenAIServer,
    vault_server: VaultServer,
) -> Estate:
    made = Estate()
    vault_server.add_policy("tenants", 'path "secret/data/tenants/*" { capabilities = ["read"] }')
    role_id, secret_id = vault_server.approle("tenantry", policies=["tenants"])
    made.secrets.append(secret_id)
    for name in ("acme", "globex", "wonka"):
        vault_server.put(f"tenants/{name}", {"api_key": made.planted(name)})
        if name != "wonka":
            openai_server.allow(made.secrets[-1], tenant=name)
    file = tmp_path / "config" / "tenants.yaml"
    file.parent.mkdir()
    file.write_text(
        CONFIGURATION.format(
            vault=vault_server.url,
            role_id=role_id,
            openai=openai_server.base_url,
            azure=openai_server.azure_endpoint,
            header=made.planted("header"),
            literal=made.planted("literal"),
        )
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET_ID", secret_id)
    for name in ("TENANTRY_CONFIG", "NO_COLOR", "KEY_INITECH", *FOREIGN):
        monkeypatch.delenv(name, raising=False)
    return made


@pytest.fixture
def run() -> Callable[..., Result]:
    """Run a command in this process, on pipes."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(tenantry, arguments)

    return run


OTHER = 7  # a process that nobody started


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Have registries of configurations answer, as this process and as another one.

    Returns the directory of their sockets.
    """
    directory = tmp_path / "control"
    with ExitStack() as opened:

        def serve(config: Any, other: Any) -> Path:
            opened.enter_context(ClientRegistry.open(other)).serve_control(directory)
            socket_of(directory, os.getpid()).rename(socket_of(directory, OTHER))
            opened.enter_context(ClientRegistry.open(config)).serve_control(directory)
            return directory

        yield serve


@dataclass(frozen=True)
class Shown:
    """What a command left on a terminal: its exit code, the lines, and all bytes that it drew."""

    code: int
    lines: list[str]
    drawn: str

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
def on_terminal() -> Callable[..., Shown]:
    """Run a command as a process on a terminal of 80 columns."""
    return _on_terminal


def _on_terminal(*arguments: str, **environ: str) -> Shown:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    plain = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [TENANTRY, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**plain, "TERM": "xterm-256color", **environ},
    )
    os.close(theirs)
    drawn = b""
    try:
        while chunk := os.read(ours, 65_536):
            drawn += chunk
    except OSError:
        pass  # Linux's way to say that the other end is closed
    os.close(ours)
    code = process.wait(LIMIT)
    screen = pyte.Screen(COLUMNS, LINES)
    pyte.ByteStream(screen).feed(drawn)
    lines = [line.rstrip() for line in screen.display]
    while lines and not lines[-1]:
        lines.pop()
    return Shown(code, lines, drawn.decode())


# -- what the document shows ----------------------------------------------------------------------

DOCUMENT = Path(__file__).parents[2] / "docs" / "command-line.md"
BLOCK = re.compile(r"^<!-- (\w+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Fingerprints; times, versions, ports; rules and folds.
MASKED = re.compile(r"\b[0-9a-f]{12}\b|\d+(?:\.\d+)*\w*|[\s─#]+")


@dataclass(frozen=True)
class Sample:
    """The document's blocks by the comment above each, and how they compare with what is shown."""

    blocks: dict[str, list[str]]

    def same(
        self, name: str, shown: Shown, *, said: str = "", apart_from: tuple[str, ...] = ()
    ) -> None:
        """Check that a block is what was shown, but for times, versions, ports and folds.

        Args:
            name: the command, as the comment has it.
            shown: what it showed.
            said: how it was called; by its name alone unless said.
            apart_from: how sentences begin that tell of what is installed.
        """
        [block] = self.blocks[name]
        expected = self._sentences(block.splitlines(), apart_from)
        assert expected == self._sentences([f"$ tenantry {said or name}", *shown.lines], apart_from)

    def _sentences(self, lines: list[str], apart_from: tuple[str, ...]) -> list[str]:
        joined = re.sub(r"\n {4,}(?!next:)", " ", "\n".join(lines))  # folds
        kept = (line for line in joined.splitlines() if not line.startswith(apart_from))
        return [MASKED.sub(_mask, line).strip() for line in kept if line.strip(" ─")]


def _mask(found: re.Match[str]) -> str:
    return "0" if found[0][0].isalnum() else " "


@pytest.fixture
def sample(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    openai_server: OpenAIServer,
    vault_server: VaultServer,
) -> Sample:
    """The document, and the world of its sample configuration."""
    blocks: dict[str, list[str]] = {}
    text = DOCUMENT.read_text()
    for name, block in re.findall(
        r"^<!-- (\w+) -->\n```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    ):
        blocks.setdefault(name, []).append(block)
    [said] = blocks["estate"]
    for name in ("acme", "globex", "wonka"):
        vault_server.put(f"tenants/{name}", {"api_key": f"sk-{name}"})
    openai_server.allow("sk-acme", tenant="acme")
    openai_server.allow("sk-globex", tenant="globex")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "tenants.yaml").write_text(
        said.replace("http://127.0.0.1:8200", vault_server.url).replace(
            "http://127.0.0.1:8080/v1", openai_server.base_url
        )
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VAULT_TOKEN", vault_server.root_token)
    for name in ("TENANTRY_CONFIG", "NO_COLOR", "KEY_INITECH", *FOREIGN):
        monkeypatch.delenv(name, raising=False)
    return Sample(blocks)
