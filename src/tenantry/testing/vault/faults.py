"""Misbehaviour on demand: failures, pages of HTML, slowness."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.testing.vault.envelope import Reply

HTML = "<!doctype html><html><body><h1>Please sign in to the proxy</h1></body></html>"


@dataclass(slots=True)
class _Fault:
    reply: Reply
    path: str
    times: int


@dataclass(slots=True)
class _Pause:
    seconds: float
    path: str
    times: int | None


class Faults:
    """What the next requests get instead of, or before, an answer; guarded by the server's lock."""

    def __init__(self) -> None:
        self._faults: list[_Fault] = []
        self._pause: _Pause | None = None

    def add(self, reply: Reply, *, times: int, path: str | None) -> None:
        """Answer the next `times` requests whose path starts with `path` with `reply`."""
        self._faults.append(_Fault(reply, path or "", times))

    def slow(self, seconds: float, *, times: int | None, path: str | None) -> None:
        """Make requests wait, the next `times` of them or all; 0 seconds ends it."""
        self._pause = _Pause(seconds, path or "", times) if seconds else None

    def take(self, path: str) -> Reply | None:
        """Use up the oldest fault that is meant for `path`."""
        for fault in self._faults:
            if path.startswith(fault.path):
                fault.times -= 1
                self._faults = [each for each in self._faults if each.times > 0]
                return fault.reply
        return None

    def pause(self, path: str) -> float:
        """Use up one pause, and return its seconds."""
        pause = self._pause
        if pause is None or not path.startswith(pause.path) or pause.times == 0:
            return 0.0
        if pause.times is not None:
            pause.times -= 1
        return pause.seconds


def failure(status: int, retry_after: float | None) -> Reply:
    """Make a failure in Vault's shape; `retry_after` are seconds."""
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    return Reply(status, {"errors": [f"injected failure: {status}"]}, headers)


def page() -> Reply:
    """Make the 200 of a proxy that answers in Vault's place."""
    return Reply(200, HTML)
