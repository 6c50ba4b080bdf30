"""No secret is found in what commands print, nor in what a control socket answers."""

from __future__ import annotations

import json
import secrets
from functools import partial
from typing import TYPE_CHECKING

import pytest
import yaml
from click.testing import CliRunner
from tests.planted.estate import PLANTED
from tests.planted.hunting import Hunt, found_in

from tenantry import ClientRegistry
from tenantry.cli.commands import COMMANDS, tenantry
from tenantry.control import ask_all
from tenantry.control.verbs import _VERBS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.planted.estate import Estate

# Each with what it reads on standard input; {live} is a directory of control sockets.
SAID = {
    "init other.yaml": "",
    "check": "",
    "check --strict": "",
    "list": "",
    "list --attach {live}": "",
    "show acme": "",
    "show worded": "",
    "show bare": "",
    "show acme --attach {live}": "",
    "plan --against before.yaml": "",
    "plan --attach {live}": "",
    "ping --timeout 10": "",
    "doctor": "",
    "keys status": "",
    "keys status --attach {live}": "",
    "keys refresh vaulted --attach {live}": "",
    "keys refresh absent --attach {live}": "",
    "keys pin vaulted --version 1 --for 1m --attach {live}": "",
    "keys pin vaulted --version 99 --for 1m --attach {live}": "",
    "keys unpin vaulted --attach {live}": "",
    "keys fingerprint -": PLANTED["key"],
    "keys fingerprint - --attach {live}": PLANTED["key"],
    "catalog init": "",
    "catalog import tenants.yaml": "",
    "catalog put new": yaml.safe_dump({"api_key": PLANTED["put"], "timeout": PLANTED["put"]}),
    "catalog put lent": yaml.safe_dump({"api_key": {"literal": PLANTED["put"]}}),
    "catalog put right": yaml.safe_dump({"timeout": 5}),
    "catalog history": "",
    "catalog export": "",
    "catalog remove right": "",
    "schema": "",
    "completion bash": "",
}
OF_THEIR_OWN = {"demo"}  # run on servers and secrets that they make themselves
REQUESTS: dict[str, list[dict[str, object]]] = {
    "status": [{}, {"tenant": "acme"}, {"tenant": "nobody"}],
    "tenants": [{}],
    "list": [{}],
    "explain": [{"tenant": "acme"}, {"tenant": "bare"}, {"tenant": "worded"}],
    "refresh": [{"tenant": "acme"}, {"tenant": "absent"}, {"tenant": "lacking"}],
    "pin": [{"tenant": "vaulted", "version": "99", "seconds": 9.0}],
    "unpin": [{"tenant": "vaulted"}],
    "fingerprint": [{"value": PLANTED["key"]}, {"value": [PLANTED["key"]]}],
    "plan": [{}],
    "reload": [{}, {"force": PLANTED["key"]}],
}


@pytest.fixture
def live(estate: Estate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of sockets, in which a registry of the configuration in files answers."""
    monkeypatch.chdir(tmp_path)
    for name, secret in PLANTED.items():
        monkeypatch.setenv(name, secret)
    write(tmp_path / "before.yaml", {"tenants": {"acme": {"api_key": {"env": "rotated"}}}})
    write(tmp_path / "service.yaml", estate.text_config())
    write(tmp_path / "tenants.yaml", {"tenants": {"acme": {"api_key": PLANTED["row"]}}})
    defaults = {"api_key": {"env": "KEY_{tenant}"}}
    catalog = {"catalog": {"sqlite": {"path": "catalog.db"}}, "defaults": defaults}
    write(tmp_path / "engine.yaml", {**catalog, "allow": {"secrets": {"env": ["KEY_{tenant}"]}}})
    with ClientRegistry.open("service.yaml") as registry:
        registry.serve_control(tmp_path / "live")
        registry.warm()
        yield tmp_path / "live"


def write(path: Path, said: object) -> None:
    path.write_text(yaml.safe_dump(said))


def run(live: Path, command: str, said: str, *options: str) -> str:
    """Run a command in this process, and return all that it printed."""
    config = "engine.yaml" if command.startswith("catalog") else "service.yaml"
    words = command.format(live=live).split()
    done = CliRunner().invoke(tenantry, ["--config", config, *options, *words], said)
    if not isinstance(done.exception, (SystemExit, type(None))):
        raise done.exception
    return done.output


def test_no_command_prints_a_secret(estate: Estate, live: Path) -> None:
    """Neither for people nor as JSON, whether it goes well or not."""
    printed = {
        f"{command} {options}": run(live, command, said, *options)
        for command, said in SAID.items()
        for options in ((), ("--json",))
    }
    assert [] == [command for command, text in printed.items() if not text]
    assert [] == found_in(printed, estate.planted)
    assert COMMANDS.keys() == OF_THEIR_OWN | {command.split()[0] for command in SAID}


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_the_demo_prints_no_secret_of_its_own(
    options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every key, token and secret id that it makes is looked for."""
    made: dict[str, str] = {}
    make = secrets.token_urlsafe

    def noted(length: int) -> str:
        return made.setdefault(f"secret {len(made)}", make(length))

    monkeypatch.setattr(secrets, "token_urlsafe", noted)
    done = CliRunner().invoke(tenantry, ["demo", "--seconds", "1", "--tenants", "6", *options])
    assert (0, True) == (done.exit_code, len(made) > 6)
    assert [] == found_in({"demo": done.output}, made)


def test_no_answer_of_a_control_socket_has_a_secret(estate: Estate, live: Path) -> None:
    """Nor one that refuses, whatever was asked."""
    hunt = Hunt()
    for verb, several in REQUESTS.items():
        for request in several:
            answers = ask_all(live, {"verb": verb, **request})
            assert answers.given or answers.refused
            hunt.see(json.dumps([verb]), answers)
    asked = partial(ask_all, live, {"verb": PLANTED["key"]})
    hunt.see("no verb", asked())
    assert _VERBS.keys() == REQUESTS.keys()
    assert [] == found_in(hunt.surfaces, estate.planted)
