"""`tenantry ping`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenantry.cli import exits

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result


def test_everybody_who_is_served_is_asked(estate: Any, run: Callable[..., Result]) -> None:
    """Each address of each tenant has a line; what failed is explained, and ends it with 4."""
    done = run("ping", "--timeout", "30")
    first, _, *lines = done.stdout.splitlines()

    assert exits.UPSTREAM == done.exit_code
    assert "fresh process, not your service" == first
    assert ["acme", "acme eu", "globex", "initech", "wonka"] == [
        line.partition("  ")[0] for line in lines[:5]
    ]
    assert ["ok", "ok", "ok", "no credential", "HTTP 401"] == [
        line.rsplit("  ", 1)[1].strip() for line in lines[:5]
    ]
    assert lines[5].startswith("initech: api_key from env KEY_INITECH: variable KEY_INITECH is not")
    assert lines[6].startswith("wonka: the key is not accepted")
    assert "5 requests, 2 failures\n" == done.stderr
    assert [] == estate.found_in(done.output)


def test_some_are_asked(estate: object, run: Callable[..., Result]) -> None:
    """Only who is named is asked; where nothing fails the command is well."""
    done = run("ping", "globex", "--json", "--timeout", "30")
    [pong] = json.loads(done.stdout)

    assert (exits.OK, "") == (done.exit_code, done.stderr)
    assert ("globex", None, "azure", True) == (
        pong["tenant"],
        pong["endpoint"],
        pong["provider"],
        pong["ok"],
    )
    assert 1 <= pong["models"]


def test_who_cannot_be_asked(estate: object, run: Callable[..., Result]) -> None:
    """Who is unknown, disabled or in quarantine is told before anybody is asked."""
    assert exits.USAGE == run("ping", "acme", "nobody").exit_code
    assert exits.CONFIGURATION == run("ping", "hooli").exit_code
    assert exits.CONFIGURATION == run("ping", "stark").exit_code


def test_an_interrupt_ends_it_at_once(tmp_path: Path) -> None:
    """Control-C does not wait for an address that does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        file = tmp_path / "tenants.yaml"
        address = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        file.write_text(f'tenants: {{acme: {{base_url: "{address}", api_key: {{env: KEY}}}}}}')
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("tenantry")), "ping", "--config", str(file)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "KEY": "made-up"},
        )
        server.settimeout(60)
        connection, _ = server.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
    assert (exits.INTERRUPTED, "tenantry: interrupted\n") == (process.returncode, said)


def test_the_documents_sample(sample: Any, on_terminal: Callable[..., Any]) -> None:
    """What the document shows is what a terminal of 80 columns shows."""
    sample.same("ping", on_terminal("ping"))
