"""`tenantry keys`: which secret serves, in this process and in those that live."""

from __future__ import annotations

import hmac
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from tenantry import ClientRegistry
from tenantry.cli import exits
from tenantry.cli.commands import tenantry
from tenantry.control.directory import owned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result
    from tests.cli.conftest import Estate, Sample, Shown

    from tenantry.testing import VaultServer


@pytest.fixture
def live(
    estate: Estate, vault_server: VaultServer, tmp_path: Path
) -> Iterator[tuple[ClientRegistry, str]]:
    """A process that serves the estate, this one, and the directory of its socket."""
    vault_server.put("tenants/acme", {"api_key": estate.planted("acme-2")})
    directory = tmp_path / "control"
    with ClientRegistry.open() as registry:
        registry.serve_control(directory)
        registry.refresh("acme")
        yield registry, str(directory)


def key_of(registry: ClientRegistry) -> tuple[str, float | None]:
    status = registry.status("acme").credentials[0]
    return status.version, status.pinned_for


def test_a_live_process_tells_what_serves(
    live: tuple[ClientRegistry, str], estate: Estate, run: Callable[..., Result]
) -> None:
    """Its number comes first, then a line for each secret, none of them the secret itself."""
    registry, directory = live
    done = run("keys", "status", "acme", "--attach", directory)
    assert exits.OK == done.exit_code
    heading, head, *lines = done.stdout.splitlines()
    assert f"live: pid {os.getpid()}" == heading
    assert ["pid", "tenant", "setting", "source", "version", "fingerprint"] == head.split()[:6]
    fingerprint = registry.status("acme").credentials[0].fingerprint
    expected = [str(os.getpid()), "acme", "api_key", "vault", "2", fingerprint, "fresh"]
    assert expected == lines[0].split()[:7]
    assert [] == estate.found_in(done.output)


def test_a_program_reads_json(
    live: tuple[ClientRegistry, str], estate: Estate, run: Callable[..., Result]
) -> None:
    """All tenants where none is named; those without a usable secret make it end with 4."""
    _, directory = live
    done = run("--json", "keys", "status", "--attach", directory)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    [acme] = [row for row in rows if (row["tenant"], row["setting"]) == ("acme", "api_key")]
    assert (os.getpid(), "2", "fresh", None) == (
        *(acme["pid"], acme["version"], acme["freshness"], acme["pinned_for"]),
    )
    assert (exits.UPSTREAM, []) == (done.exit_code, estate.found_in(done.output))


def test_a_fresh_process_fetches_for_itself(
    estate: Estate, run: Callable[..., Result], on_terminal: Callable[..., Shown]
) -> None:
    """And says that it is not the service."""
    done = run("keys", "status", "acme", "initech")
    assert exits.UPSTREAM == done.exit_code
    assert "fresh process, not your service" == done.stdout.splitlines()[0]
    assert "variable KEY_INITECH is not set" in done.stdout
    shown = on_terminal("keys", "status", "acme")
    assert (exits.OK, "fresh process, not your service") == (shown.code, shown.lines[0])
    assert [] == estate.found_in(done.output + shown.text + shown.drawn)


def test_a_version_is_pinned_and_unpinned(
    live: tuple[ClientRegistry, str], estate: Estate, run: Callable[..., Result]
) -> None:
    """In every live process; the status says for how long."""
    registry, directory = live
    pinned = run(
        *("keys", "pin", "acme", "--version", "1", "--for", "2h", "--attach", directory),
    )
    assert exits.OK == pinned.exit_code
    assert [f"live: pid {os.getpid()}", "pinned to version 1"] == [
        pinned.stdout.splitlines()[0],
        pinned.stdout.splitlines()[2].split(maxsplit=1)[1],
    ]
    version, seconds = key_of(registry)
    assert "1" == version
    assert seconds == pytest.approx(7200, abs=60)
    row = run("keys", "status", "acme", "--attach", directory).stdout.splitlines()[2].split()
    assert ["pinned", "1h59m"] == [row[6], row[-1]]
    assert exits.OK == run("keys", "unpin", "acme", "--attach", directory).exit_code
    assert ("2", None) == key_of(registry)
    assert [] == estate.found_in(pinned.output)


def test_a_version_that_is_not_there_is_told(
    live: tuple[ClientRegistry, str], run: Callable[..., Result]
) -> None:
    """By each process, and it ends with 4."""
    done = run(
        *("--json", "keys", "pin", "acme", "--version", "9", "--for", "1m", "--attach", live[1]),
    )
    [told] = json.loads(done.stdout)
    assert (exits.UPSTREAM, None) == (done.exit_code, told["result"])
    assert "there is no such secret" in told["error"]


def test_secrets_are_fetched_at_once(
    live: tuple[ClientRegistry, str],
    estate: Estate,
    vault_server: VaultServer,
    run: Callable[..., Result],
) -> None:
    """By live processes; a tenant that nobody knows is a mistake on the command line."""
    registry, directory = live
    vault_server.put("tenants/acme", {"api_key": estate.planted("acme-3")})
    done = run("keys", "refresh", "acme", "--drop-previous", "--attach", directory)
    assert (exits.OK, "3") == (done.exit_code, key_of(registry)[0])
    unknown = run("keys", "refresh", "acne", "--attach", directory)
    assert (exits.USAGE, True) == (unknown.exit_code, "did you mean 'acme'" in unknown.stdout)
    asked = run("keys", "status", "acne", "--attach", directory)
    assert (exits.USAGE, True) == (asked.exit_code, "did you mean 'acme'" in asked.stderr)


@pytest.mark.parametrize(
    "arguments",
    [("refresh", "acme"), ("pin", "acme", "--version", "1", "--for", "1h"), ("unpin", "acme")],
)
def test_what_acts_needs_live_processes(
    estate: Estate, run: Callable[..., Result], arguments: tuple[str, ...]
) -> None:
    """A process of its own would change nothing."""
    done = run("keys", *arguments)
    assert exits.USAGE == done.exit_code
    assert "acts on live processes only: say --attach DIR" in done.stderr


@pytest.mark.parametrize("said", ["soon", "-1s"])
def test_a_time_is_read_like_the_configurations(run: Callable[..., Result], said: str) -> None:
    """What is none is a mistake on the command line."""
    done = run("keys", "pin", "acme", "--version", "1", f"--for={said}", "--attach", "x")
    assert (exits.USAGE, True) == (done.exit_code, "is not a duration" in done.stderr)


def test_nobody_answers(estate: Estate, tmp_path: Path, run: Callable[..., Result]) -> None:
    """No socket is a problem, no directory is a wrong option."""
    done = run("keys", "status", "--attach", str(owned(tmp_path / "control")))
    assert (exits.PROBLEMS, True) == (done.exit_code, "no live process answers" in done.stderr)
    assert exits.USAGE == run("keys", "status", "--attach", "nowhere").exit_code


def fingerprint(key: str, *arguments: str) -> Result:
    return CliRunner().invoke(tenantry, ["keys", "fingerprint", "-", *arguments], input=key)


def test_a_key_is_compared_without_showing_it(
    live: tuple[ClientRegistry, str], estate: Estate
) -> None:
    """With `--attach` each process says what its status shows for the key."""
    registry, directory = live
    key = next(secret for secret in estate.secrets if "acme-2" in secret)
    done = fingerprint(f"{key}\n", "--attach", directory)
    expected = registry.status("acme").credentials[0].fingerprint
    assert [str(os.getpid()), expected] == done.stdout.splitlines()[2].split()
    assert [] == estate.found_in(done.output)


def test_a_named_key_makes_fingerprints_comparable(
    estate: Estate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without either there is nothing to compare with; with a key that is missing, neither."""
    file = tmp_path / "config" / "tenants.yaml"
    done = fingerprint("sk-1")
    assert (exits.USAGE, True) == (done.exit_code, "fingerprint_key" in done.stderr)
    file.write_text(f"registry: {{fingerprint_key: {{env: PEPPER}}}}\n{file.read_text()}")
    done = fingerprint("sk-1")
    assert (exits.UPSTREAM, True) == (done.exit_code, "cannot be had" in done.stderr)
    monkeypatch.setenv("PEPPER", "pepper")
    expected = hmac.new(b"pepper", b"sk-1", "sha256").hexdigest()[:12]
    assert expected == fingerprint("sk-1\n").stdout.strip()
    with ClientRegistry.open() as registry:
        registry.refresh("acme")
        shown = registry.status("acme").credentials[0].fingerprint
    key = next(secret for secret in estate.secrets if "-acme" in secret)
    assert shown == fingerprint(key).stdout.strip()


def test_the_document_shows_what_a_terminal_does(
    sample: Sample, vault_server: VaultServer, tmp_path: Path, on_terminal: Callable[..., Shown]
) -> None:
    """The sample of live processes in `docs/command-line.md`."""
    directory = str(tmp_path / "control")
    with ClientRegistry.open() as registry:
        registry.serve_control(directory)
        registry.warm(["acme", "globex"])
        vault_server.put("tenants/acme", {"api_key": "sk-acme-2"})
        registry.refresh("acme")
        registry.pin("acme", "1", seconds=7200)
        shown = on_terminal("keys", "status", "--attach", directory)
    sample.same("keys", shown, said="keys status --attach /run/tenantry")


def test_what_was_not_wanted_is_no_fault(
    live: tuple[ClientRegistry, str], run: Callable[..., Result]
) -> None:
    """Nobody fetched it yet; it stands there where it is asked for by name."""
    _, directory = live
    named = run("keys", "status", "wonka", "--attach", directory)
    assert (exits.OK, "unused") == (named.exit_code, named.stdout.splitlines()[2].split()[6])
    assert "wonka" not in run("keys", "status", "--attach", directory).stdout


def test_nobody_wanted_a_secret_yet(tmp_path: Path, run: Callable[..., Result]) -> None:
    """A process that served nobody says so."""
    config = {"registry": {"warm": "none"}, "tenants": {"acme": {"api_key": {"env": "KEY"}}}}
    with ClientRegistry.open(config) as registry:
        registry.serve_control(tmp_path / "idle")
        done = run("keys", "status", "--attach", str(tmp_path / "idle"))
    assert [f"live: pid {os.getpid()}", "no secret was wanted yet"] == done.stdout.splitlines()
