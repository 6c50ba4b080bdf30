"""A secret from a file: a mounted Kubernetes Secret, a systemd credential, `/run/secrets`."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

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

    path: Path = Field(description="The file's path.")
    refresh: RefreshSettings | None = Field(
        default=RefreshSettings(every=10.0),
        description="Refresh limits of this file's own; looked at every 10 seconds unless said.",
    )


class FileSource:
    """Reads files whole at each fetch: their times are too coarse to tell that nothing changed."""

    def __init__(self, settings: None, tools: SourceTools) -> None:
        del settings, tools

    def fetch(self, options: FileReference, *, forced: bool) -> Document:
        del forced
        path = options.path
        try:
            return Document(_read(path))
        except FileNotFoundError:
            # An atomic rename or the swap of a mounted Secret leaves a gap: try again soon.
            reason, hint = f"file {path} is not there", "check the mount and the path"
            raise SourceError(reason, hint=hint) from None
        except OSError as error:
            reason = f"file {path} cannot be read: {error.strerror}"
            # Others, such as too many open files, pass.
            failure = Failure.DENIED if isinstance(error, _LASTING) else Failure.TRANSIENT
            raise SourceError(reason, failure=failure) from None

    def close(self) -> None:
        """Nothing is held open."""


_LASTING = (PermissionError, IsADirectoryError, NotADirectoryError)


def _read(path: Path) -> str:
    if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
        # Opening a pipe would wait for whoever writes to it, and hold the thread.
        raise SourceError(f"{path} is not a regular file", failure=Failure.DENIED)
    with path.open("rb") as file:
        content = file.read(SIZE_LIMIT + 1)
    if not content:
        # Whoever writes it in place has emptied it first: what is held is better than nothing.
        raise SourceError(f"file {path} is empty", hint="replace it by an atomic rename")
    if len(content) > SIZE_LIMIT:
        reason = f"file {path} is larger than {SIZE_LIMIT} bytes"
        raise SourceError(reason, failure=Failure.DENIED)
    try:
        return content.decode()
    except UnicodeDecodeError:
        reason = f"file {path} is not UTF-8 text"
        raise SourceError(reason, failure=Failure.DENIED) from None


KIND = SourceKind("file", FileReference, FileSource, local=True)
