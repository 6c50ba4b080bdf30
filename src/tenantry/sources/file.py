"""A secret from a file: a mounted Kubernetes Secret, a systemd credential, `/run/secrets`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tenantry.errors import Failure, SourceError
from tenantry.secret import Document
from tenantry.settings import ReferenceOptions, RefreshSettings
from tenantry.sources.base import SourceKind

if TYPE_CHECKING:
    from tenantry.sources.base import SourceTools

SIZE_LIMIT = 1_048_576  # bytes


class FileReference(ReferenceOptions):
    """`{file: PATH}`: the content of a file, without the line break at its end.

    It is looked at every 10 s unless `refresh` says otherwise.
    """

    main: ClassVar[str] = "path"

    path: Path
    refresh: RefreshSettings | None = RefreshSettings(every=10.0)


class FileSource:
    """Reads files whole, and again only where their device, inode, time or size changed."""

    def __init__(self, settings: None, tools: SourceTools) -> None:
        del settings, tools
        # Replaced whole, so that threads need no lock; what is lost costs one read.
        self._seen: dict[Path, tuple[tuple[int, ...], Document]] = {}

    def fetch(self, options: FileReference, *, forced: bool) -> Document:
        path = options.path
        try:
            identity = _identity(path)
            seen = self._seen.get(path)
            if seen is not None and seen[0] == identity and not forced:
                return seen[1]
            document = Document(_read(path))
        except FileNotFoundError:
            # An atomic rename or the swap of a mounted Secret leaves a gap: try again soon.
            reason, hint = f"file {path} is not there", "check the mount and the path"
            raise SourceError(reason, hint=hint) from None
        except OSError as error:
            reason = f"file {path} cannot be read: {error.strerror}"
            raise SourceError(reason, failure=Failure.DENIED) from None
        self._seen = {**self._seen, path: (identity, document)}
        return document

    def close(self) -> None:
        """Nothing is held open."""


def _identity(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


def _read(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(SIZE_LIMIT + 1)
    if len(content) > SIZE_LIMIT:
        reason = f"file {path} is larger than {SIZE_LIMIT} bytes"
        raise SourceError(reason, failure=Failure.DENIED)
    try:
        return content.decode()
    except UnicodeDecodeError:
        reason = f"file {path} is not UTF-8 text"
        raise SourceError(reason, failure=Failure.DENIED) from None


KIND = SourceKind("file", FileReference, FileSource, local=True)
