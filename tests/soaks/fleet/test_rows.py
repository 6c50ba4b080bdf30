"""A row that points where `allow` does not: no worker goes there, not even to look."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from tests.soaks.fleet.conftest import waited

from tenantry.testing import OpenAIServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.soaks.fleet.conftest import Fleet

REFUSED = "TenantQuarantinedError"
OPENED = 0x20  # what Linux calls IN_OPEN


class OpenWatch:
    """Notices who opens a file; Linux tells, whatever the file system notes of it."""

    def __init__(self, file: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._events = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self._events, str(file).encode(), OPENED) > 0

    def noticed(self) -> bool:
        try:
            return bool(os.read(self._events, 4096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._events)


def pointing_elsewhere(home: Path, foreign: str) -> dict[str, dict[str, Any]]:
    """Return what rows may try, by what it is."""
    touch = [sys.executable, "-c", f"open({str(home / 'ran')!r}, 'w'); print('sk-x')"]
    return {
        "path-of-another": {"api_key": {"vault": "tenant-0"}},
        "way-around": {"api_key": {"vault": "way-around/../tenant-0"}},
        "foreign-origin": {"base_url": f"{foreign}/v1"},
        "foreign-endpoint": {"endpoints": {"eu": {"base_url": f"{foreign}/v1"}}},
        "command": {"api_key": {"command": touch}},
        "service-account": {"api_key": {"file": str(home / "token")}},
        "in-a-header": {"default_headers": {"X-Key": {"file": str(home / "token")}}},
        "in-a-list": {"api_key": {"first_of": [{"file": str(home / "token")}, {"vault": "x"}]}},
        "code": {"api_key": {"python": "os:getcwd"}},
    }


@pytest.mark.parametrize(
    ("kind", "workers"),
    [("sqlite", 2), pytest.param("postgres", 8, marks=pytest.mark.stress)],
)
@pytest.mark.timeout(120)
def test_rows_that_point_elsewhere(
    kind: str, workers: int, fleet_on: Callable[..., tuple[Fleet, Any]], tmp_path: Path
) -> None:
    """Every worker refuses them; no key is fetched, no file read, no program run, nothing sent."""
    fleet, _ = fleet_on(kind, workers, 4, poll=0.2)
    (tmp_path / "token").write_text("sk-of-the-service")
    with OpenAIServer() as foreign, closing(OpenWatch(tmp_path / "token")) as watch:
        rows = pointing_elsewhere(tmp_path, foreign.base_url.removesuffix("/v1"))
        fleet.vault.clear_requests()
        fleet.write({name: {"profile": "one", **said} for name, said in rows.items()})

        assert [dict.fromkeys(rows, REFUSED)] * workers == fleet.of_all("tries", list(rows))
        assert ((), (), 0) == (fleet.vault.requests, foreign.requests, foreign.connections)
        assert (False, False) == (watch.noticed(), (tmp_path / "ran").exists())


@pytest.mark.timeout(120)
def test_a_tenant_that_begins_to_point_elsewhere(
    fleet_on: Callable[..., tuple[Fleet, Any]], tmp_path: Path
) -> None:
    """Whoever was right keeps the last settings that were, in every worker."""
    fleet, _ = fleet_on("sqlite", 2, 4, poll=0.2)
    right = fleet.expected()
    (tmp_path / "token").write_text("sk-of-the-service")
    with OpenAIServer() as foreign, closing(OpenWatch(tmp_path / "token")) as watch:
        rows = pointing_elsewhere(tmp_path, foreign.base_url.removesuffix("/v1"))
        wrong = [rows["path-of-another"], rows["foreign-origin"], rows["service-account"]]
        changed = dict(zip(fleet.names[1:], wrong, strict=True))
        last = fleet.tenant("2")  # of one write with them: who sees this saw them
        fleet.write({**changed, fleet.names[0]: last})
        right[fleet.names[0]] = fleet.served(last)
        waited(lambda: [right] * 2 == fleet.of_all("states", fleet.names), lambda: "some lag")

        assert [dict.fromkeys(fleet.names, "answered")] * 2 == fleet.of_all("tries", fleet.names)
        assert ((), False) == (foreign.requests, watch.noticed())


def test_the_watch_notices(tmp_path: Path) -> None:
    """A file that somebody opens is noticed, and one that nobody opens is not."""
    (tmp_path / "token").write_text("x")
    with closing(OpenWatch(tmp_path / "token")) as watch:
        assert not watch.noticed()
        (tmp_path / "token").read_text()
        assert watch.noticed()
