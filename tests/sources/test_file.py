from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tenantry.errors import Failure
from tenantry.freshness import RefreshPolicy
from tenantry.settings import RefreshSettings
from tenantry.sources import kinds
from tenantry.sources.file import SIZE_LIMIT, FileReference

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sources.conftest import Bench

PLANTED = "sk-planted-0123456789"
LIMIT = 10.0  # seconds after which a test that hangs fails


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(f"{PLANTED}\n")
    return path


@pytest.fixture
def bench(opened: Callable[..., Bench]) -> Bench:
    return opened()


def test_a_file_is_the_secret(bench: Bench, file: Path) -> None:
    """Its content counts, without the line break at the end."""
    assert PLANTED == bench.value({"file": str(file)})
    assert f"file {file}" == str(bench.reference({"file": str(file)}))
    assert kinds()["file"].local


def test_a_file_may_hold_several_secrets(bench: Bench, file: Path) -> None:
    """A JSON object in a file has fields."""
    file.write_text('{"api_key": "a", "other": "b"}')
    assert "a" == bench.value({"file": str(file)})
    assert "b" == bench.value({"file": {"path": str(file), "field": "other"}})


def test_a_file_is_looked_at_every_ten_seconds() -> None:
    """A mounted secret changes without notice, and looking is cheap."""
    refresh = FileReference(path=Path("key")).refresh
    assert RefreshSettings(every=10.0) == refresh
    assert RefreshPolicy(every=10.0) == refresh.policy()


def test_a_replaced_file_is_read_anew(bench: Bench, file: Path) -> None:
    """An atomic rename brings the new content at the next fetch."""
    bench.fetch({"file": str(file)})
    new = file.with_name("new")
    new.write_text("other")
    new.replace(file)
    assert "other" == bench.value({"file": str(file)})


def test_a_change_that_no_time_stamp_tells_is_seen(bench: Bench, file: Path) -> None:
    """Same inode, size and time with another content: the content counts."""
    before = file.stat()
    bench.fetch({"file": str(file)})
    file.write_text(f"{PLANTED[::-1]}\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert PLANTED[::-1] == bench.value({"file": str(file)})


def test_the_swap_of_a_mounted_secret_is_seen(bench: Bench, tmp_path: Path) -> None:
    """Kubernetes swaps a symlink of the directory; what is behind it now counts."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").write_text(name)
    (tmp_path / "..data").symlink_to("first")
    (tmp_path / "key").symlink_to("..data/key")
    reference = {"file": str(tmp_path / "key")}
    assert "first" == bench.value(reference)
    (tmp_path / "..new").symlink_to("second")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert "second" == bench.value(reference)


def test_a_swap_never_shows_half_a_secret(bench: Bench, file: Path) -> None:
    """Whenever a file is replaced, a reader gets the old or the new content whole."""
    values = {"a" * 5000, "b" * 5000}
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for value in values:
                new = file.with_name("new")
                new.write_text(value)
                new.replace(file)

    file.write_text("a" * 5000)
    swapping = threading.Thread(target=swap)
    swapping.start()
    found = {bench.value({"file": str(file)}) for _ in range(200)}
    stop.set()
    swapping.join(LIMIT)
    assert found <= values


def test_a_gap_passes(bench: Bench, file: Path) -> None:
    """A file that is not there for a moment does not cost the secret that is held."""
    credential = bench.credential({"file": {"path": str(file), "refresh": {"every": 0}}})
    assert PLANTED == credential.get().reveal()
    file.unlink()
    error = bench.error({"file": str(file)})
    assert (Failure.TRANSIENT, f"file {file} is not there") == (error.failure, error.reason)
    assert PLANTED == credential.get().reveal()


def test_a_file_that_is_being_written_passes(bench: Bench, file: Path) -> None:
    """A file that was emptied to be written again does not replace what is held."""
    file.write_bytes(b"")
    error = bench.error({"file": str(file)})
    assert Failure.TRANSIENT is error.failure
    assert "is empty" in str(error)


def test_what_is_no_file_is_denied(bench: Bench, tmp_path: Path, file: Path) -> None:
    """A directory, or a path below a file, will not turn into a secret by itself."""
    for path, words in ((tmp_path, "Is a directory"), (file / "key", "Not a directory")):
        error = bench.error({"file": str(path)})
        assert Failure.DENIED is error.failure
        assert f"file {path} cannot be read: {words}" == error.reason


def test_a_pipe_does_not_hold_the_thread(bench: Bench, tmp_path: Path) -> None:
    """Opening a pipe would wait for a writer: it is refused unopened."""
    os.mkfifo(tmp_path / "pipe")
    error = bench.error({"file": str(tmp_path / "pipe")})
    assert Failure.DENIED is error.failure
    assert "is not a regular file" in str(error)


@pytest.mark.parametrize(
    ("number", "failure"),
    [
        (errno.EACCES, Failure.DENIED),
        (errno.EPERM, Failure.DENIED),
        (errno.EMFILE, Failure.TRANSIENT),
        (errno.EIO, Failure.TRANSIENT),
        (errno.ESTALE, Failure.TRANSIENT),
    ],
)
def test_which_errors_pass(
    bench: Bench, file: Path, monkeypatch: pytest.MonkeyPatch, number: int, failure: Failure
) -> None:
    """Missing permission lasts; too many open files or a stale NFS handle do not."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "open", fail)
    error = bench.error({"file": str(file)})
    assert (failure, f"file {file} cannot be read: {os.strerror(number)}") == (
        error.failure,
        error.reason,
    )


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (PLANTED.encode() + b"\xff\xfe", "is not UTF-8 text"),
        (PLANTED.encode() * (SIZE_LIMIT // len(PLANTED) + 1), "is larger than 1048576 bytes"),
    ],
)
def test_what_is_no_text_is_denied_unseen(
    bench: Bench,
    file: Path,
    shown: Callable[[BaseException, str], bool],
    content: bytes,
    fault: str,
) -> None:
    """A binary or huge file is an error that shows nothing of it."""
    file.write_bytes(content)
    error = bench.error({"file": str(file)})
    assert Failure.DENIED is error.failure
    assert fault in str(error)
    assert not shown(error, PLANTED)
