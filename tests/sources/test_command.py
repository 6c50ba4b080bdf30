"""Programs print secrets: without a shell, within a time, and in a bounded amount."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tenantry.errors import Failure, SourceError
from tenantry.sources.base import SourceTools
from tenantry.sources.command import OUTPUT_LIMIT, CommandReference, CommandSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.secret import Document


def fetched(*argv: str, **options: Any) -> Document:
    tools: Any = SourceTools("command", dict(os.environ), None, None)  # type: ignore[arg-type]  # unused
    reference = CommandReference.model_validate({"argv": argv, **options})
    return CommandSource(None, tools).fetch(reference, forced=False)


def python(code: str, **options: Any) -> Document:
    return fetched(sys.executable, "-c", code, **options)


def refused(code: str, **options: Any) -> SourceError:
    with pytest.raises(SourceError) as caught:
        python(code, **options)
    return caught.value


def test_it_is_what_the_program_prints() -> None:
    """Plain text is the secret, without the line break at its end."""
    assert "key-1" == python("print('key-1')").secret(None, "api_key").reveal()


def test_nothing_is_read_by_a_shell() -> None:
    """Arguments are handed over as they are."""
    assert "$HOME;x" == fetched("printf", "%s", "$HOME;x").secret(None, "").reveal()


def test_the_environment_is_what_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program sees PATH and what the reference says, and none of this process's secrets."""
    monkeypatch.setenv("OPENAI_API_KEY", "planted")
    code = "import os, json; print(json.dumps({'api_key': ' '.join(sorted(os.environ))}))"
    seen = python(code, environment={"VAULT": "x"}).secret(None, "api_key").reveal().split()
    assert {"PATH", "VAULT"} <= set(seen)
    assert "OPENAI_API_KEY" not in seen


@pytest.mark.parametrize(
    "expiry",
    [
        lambda seconds: {"expires_in": seconds},
        lambda seconds: {"expires_at": time.time() + seconds},
        lambda seconds: {
            "Expiration": (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)).isoformat()
        },
    ],
    ids=["seconds", "epoch", "RFC 3339"],
)
def test_json_may_say_when_it_expires(expiry: Callable[[float], dict[str, Any]]) -> None:
    """An object's fields are secrets, and its expiry is the document's."""
    printed = json.dumps({"api_key": "key-1", **expiry(3600)})
    document = python(f"print({printed!r})")
    assert "key-1" == document.secret(None, "webhook_secret").reveal()
    assert document.lifetime == pytest.approx(3600, abs=60)


def test_a_kubernetes_plugin_is_understood() -> None:
    """The token of an `ExecCredential` is the secret, and its timestamp the expiry."""
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    status = {"token": "token-1", "expirationTimestamp": later.isoformat()}
    printed = json.dumps({"kind": "ExecCredential", "status": status})
    document = python(f"print({printed!r})")
    assert "token-1" == document.secret(None, "api_key").reveal()
    assert document.lifetime == pytest.approx(3600, abs=60)


def test_a_program_that_fails_is_asked_again_later() -> None:
    """A status other than 0 is a passing failure; what it printed is not shown."""
    error = refused("import sys; print('planted'); sys.exit('planted')")
    assert Failure.TRANSIENT is error.failure
    assert "ended with status 1" in str(error)
    assert "planted" not in str(error)


def test_a_program_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    """At its deadline the program and its children are killed."""
    file = tmp_path / "child"
    code = (
        "import subprocess, sys, time;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        f"open({str(file)!r}, 'w').write(str(child.pid)); time.sleep(600)"
    )
    error = refused(code, timeout="3s")
    assert "took longer than 3 s" in str(error)
    assert ended(int(file.read_text()))


def test_what_a_program_leaves_behind_is_ended_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the program is reaped: until then nobody else can have its number."""
    file, killed, states = tmp_path / "child", os.killpg, list[str]()

    def killpg(group: int, signum: int) -> None:
        states.append(Path(f"/proc/{group}/stat").read_text().rpartition(")")[2].split()[0])
        killed(group, signum)

    monkeypatch.setattr(os, "killpg", killpg)
    code = (
        "import subprocess, sys;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " stdout=subprocess.DEVNULL);"
        f"open({str(file)!r}, 'w').write(str(child.pid)); print('key-1')"
    )
    assert "key-1" == python(code).secret(None, "api_key").reveal()
    assert ["Z"] == states
    assert ended(int(file.read_text()))


def test_a_program_that_somebody_else_reaps_has_its_say() -> None:
    """Where a process ignores SIGCHLD nobody can wait for its children."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert "key-1" == python("print('key-1')").secret(None, "api_key").reveal()
    finally:
        signal.signal(signal.SIGCHLD, before)


def ended(pid: int) -> bool:
    """Whether a process that was killed is gone; its parent is, so nobody can wait for it."""
    stat = Path(f"/proc/{pid}/stat")
    for _ in range(1000):
        try:
            if " Z " in stat.read_text():
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


def test_a_program_that_closes_its_output_and_stays_is_late() -> None:
    """Closing standard output is not ending."""
    assert "took longer" in str(refused("import os, time; os.close(1); time.sleep(600)", timeout=1))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (f"print('x' * {OUTPUT_LIMIT + 1})", "more than 65536 bytes"),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe')", "not UTF-8"),
        ('print(\'{"api_key": "k", "expires_at": "planted"}\')', "no time"),
    ],
)
def test_what_cannot_be_a_secret_is_refused(code: str, words: str) -> None:
    """Too much, binary output and a malformed expiry are refused, and not shown."""
    error = refused(code)
    assert Failure.DENIED is error.failure
    assert words in str(error)
    assert "planted" not in str(error)


@pytest.mark.parametrize("printed", ["{not json", '["a", "b"]'])
def test_what_only_looks_like_json_is_text(printed: str) -> None:
    """Output that is no JSON object is the secret itself."""
    assert printed == python(f"print({printed!r})").secret(None, "api_key").reveal()


def test_a_program_that_is_not_there_is_said() -> None:
    """A wrong path is a denied failure that names the program."""
    with pytest.raises(SourceError, match="/no/such/program cannot be run: No such file") as caught:
        fetched("/no/such/program", "planted")
    assert Failure.DENIED is caught.value.failure
    assert "planted" not in str(caught.value)


def test_arguments_make_a_document_of_its_own() -> None:
    """Two references with equal arguments and environment are one document."""
    one = CommandReference(argv=("a", "b"), environment={"X": "1"})
    assert one.locator == CommandReference(argv=("a", "b"), environment={"X": "1"}).locator
    assert one.locator != CommandReference(argv=("a", "b")).locator
