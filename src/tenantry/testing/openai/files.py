"""The files endpoint's store, and the multipart form that an upload comes in."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.message import Message
from email.parser import HeaderParser
from typing import TYPE_CHECKING

from tenantry.testing.openai.replies import CREATED

if TYPE_CHECKING:
    import threading


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An uploaded file, until it is deleted or the server object goes."""

    id: str
    filename: str
    purpose: str
    content: bytes = field(repr=False)

    def as_json(self) -> dict[str, object]:
        return {
            "id": self.id,
            "object": "file",
            "bytes": len(self.content),
            "created_at": CREATED,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
        }


class FileStore:
    """All files of one server, whoever uploaded them, oldest first."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._files: dict[str, StoredFile] = {}
        self._uploads = 0

    def add(self, filename: str, purpose: str, content: bytes) -> StoredFile:
        with self._lock:
            self._uploads += 1
            stored = StoredFile(f"file-tenantry{self._uploads}", filename, purpose, content)
            self._files[stored.id] = stored
            return stored

    def find(self, file_id: str | None) -> StoredFile | None:
        with self._lock:
            return self._files.get(file_id or "")

    def delete(self, file_id: str | None) -> bool:
        with self._lock:
            return self._files.pop(file_id or "", None) is not None

    def all(self) -> list[StoredFile]:
        with self._lock:
            return list(self._files.values())


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a multipart form."""

    content: bytes = field(repr=False)
    filename: str | None = None


def read_form(content_type: str, body: bytes) -> dict[str, Part]:
    """Read multipart/form-data by field name; `ValueError` when it is anything else."""
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_boundary()
    if message.get_content_type() != "multipart/form-data" or not boundary:
        problem = "not multipart/form-data with a boundary"
        raise ValueError(problem)
    # The first delimiter lacks the line break that belongs to all the others.
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1"))
    if not parts or not parts.pop().startswith(b"--"):
        problem = "the form is not terminated"
        raise ValueError(problem)
    return dict(map(_read_part, parts))


def _read_part(raw: bytes) -> tuple[str, Part]:
    head, _, content = raw.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    headers = HeaderParser().parsestr(head.decode("utf-8", "replace"))
    name = headers.get_param("name", "", header="content-disposition")
    return str(name), Part(content, headers.get_filename())
