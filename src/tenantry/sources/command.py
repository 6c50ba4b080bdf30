"""A secret that a program prints: a password manager, a cloud's tool, a Kubernetes plugin."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from tenantry.errors import Failure, SourceError
from tenantry.secret import Document
from tenantry.settings import ReferenceOptions, Seconds
from tenantry.sources.base import SourceKind

if TYPE_CHECKING:
    from tenantry.sources.base import SourceTools

OUTPUT_LIMIT = 65_536  # bytes
PAUSE = 0.002  # seconds between two looks at a program that printed all and is about to end
# The words for an expiry that programs use: RFC 3339, or seconds since 1970.
_EXPIRY_KEYS = ("expirationTimestamp", "expires_at", "expiration", "Expiration")


class CommandReference(ReferenceOptions):
    """`{command: [PROGRAM, ARGUMENT, ...]}`: what a program prints on standard output.

    It is run without a shell, with `PATH` and `environment` only. A JSON object may say when it
    expires (`expires_in` in seconds, or `expires_at`); a Kubernetes `ExecCredential` is understood.
    """

    main: ClassVar[str] = "argv"

    argv: tuple[str, ...] = Field(
        min_length=1, description="The program and its arguments, run without a shell."
    )
    timeout: Seconds = Field(
        default=10.0, description="How long it may run; 10 seconds unless said otherwise."
    )
    environment: Mapping[str, str] = Field(
        default_factory=dict,
        description="The variables that it sees beside PATH; none unless said.",
    )

    @property
    def locator(self) -> tuple[object, ...]:
        return (self.argv, tuple(sorted(self.environment.items())))

    def __str__(self) -> str:
        # Arguments may be anything, secrets included: the program's name is enough to find it.
        return self.argv[0]


class CommandSource:
    """Runs programs; what they say on standard error is never shown."""

    def __init__(self, settings: None, tools: SourceTools) -> None:
        del settings
        self._path = tools.environ.get("PATH", os.defpath)

    def fetch(self, options: CommandReference, *, forced: bool) -> Document:
        del forced
        try:
            process = subprocess.Popen(  # noqa: S603  # the operator names the program, not a user
                options.argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PATH": self._path, **options.environment},
                start_new_session=True,  # so that all that it starts can be ended with it
            )
        except OSError as error:
            reason = f"{options} cannot be run: {error.strerror}"
            raise SourceError(reason, failure=Failure.DENIED, hint="check the path") from None
        with process:
            try:
                printed = _printed(process, options)
            finally:
                _end(process)
        _check_succeeded(process.returncode, options)
        return _document(printed, options)

    def close(self) -> None:
        """Nothing is held."""


def _printed(process: subprocess.Popen[bytes], options: CommandReference) -> bytes:
    """Return what the program prints until it ends; it is not reaped.

    Raises:
        SourceError: where that takes too long, or is too much.
    """
    assert process.stdout is not None  # noqa: S101  # asked for above
    deadline = time.monotonic() + options.timeout
    printed = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            chunk = os.read(process.stdout.fileno(), OUTPUT_LIMIT)
            printed += chunk
            if len(printed) > OUTPUT_LIMIT:
                reason = f"{options} printed more than {OUTPUT_LIMIT} bytes"
                raise SourceError(reason, failure=Failure.DENIED)
            if not chunk:
                _wait(process, options, deadline)
                return printed
    raise _late(options)


def _wait(process: subprocess.Popen[bytes], options: CommandReference, deadline: float) -> None:
    while not _ended(process):
        if time.monotonic() > deadline:
            raise _late(options)
        time.sleep(PAUSE)


def _ended(process: subprocess.Popen[bytes]) -> bool:
    # Nobody can get the number of a process that was not reaped: `_end` cannot hit a stranger.
    if not hasattr(os, "waitid"):
        return process.poll() is not None
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # somebody else in this process reaps all children
        return True


def _late(options: CommandReference) -> SourceError:
    return SourceError(f"{options} took longer than {options.timeout:g} s")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program, and all that it started, where they still run."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS on one that ended
        os.killpg(process.pid, signal.SIGKILL)


def _check_succeeded(status: int, options: CommandReference) -> None:
    if status != 0:
        reason = f"{options} ended with status {status}"
        raise SourceError(reason, hint="run it by hand: what it says on standard error is not kept")


def _document(printed: bytes, options: CommandReference) -> Document:
    try:
        text = printed.decode()
    except UnicodeDecodeError:
        reason = f"{options} printed what is not UTF-8 text"
        raise SourceError(reason, failure=Failure.DENIED) from None
    fields = _fields(text)
    if fields is None:
        return Document(text)
    if fields.get("kind") == "ExecCredential":
        fields = dict(fields.get("status") or {})
        lifetime = _lifetime(fields, options)
        return Document(str(fields.get("token", "")), lifetime=lifetime)
    return Document(fields, lifetime=_lifetime(fields, options))


def _fields(text: str) -> dict[str, Any] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        fields = json.loads(text)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


def _lifetime(fields: dict[str, Any], options: CommandReference) -> float | None:
    """Take the expiry out of the fields, so that what is left are secrets; seconds from now."""
    said = fields.pop("expires_in", None)
    if said is not None:
        return float(said)
    found = [fields.pop(key) for key in _EXPIRY_KEYS if key in fields]
    if not found:
        return None
    try:
        return _timestamp(found[0]) - time.time()
    except ValueError:
        reason = f"{options} says an expiry that is no time (not shown)"
        raise SourceError(reason, failure=Failure.DENIED) from None


def _timestamp(said: object) -> float:
    if isinstance(said, (int, float)):
        return float(said)
    return dt.datetime.fromisoformat(str(said)).timestamp()


KIND = SourceKind("command", CommandReference, CommandSource)
