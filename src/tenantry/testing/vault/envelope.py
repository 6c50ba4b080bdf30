"""What every Vault reply looks like: the envelope of a secret, the list of errors, no content."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]

PERMISSION_DENIED = "permission denied"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: a status, headers of its own, and a JSON object, a page of text or nothing."""

    status: int = 200
    body: Json | str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def with_headers(self, headers: Mapping[str, str]) -> Reply:
        return Reply(self.status, self.body, {**self.headers, **headers})


class RefusedError(Exception):
    """Vault says no: `status` and the texts of `errors`; an empty list is what absent paths get."""

    def __init__(self, status: int, *errors: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, *errors)
        self.status = status
        self.errors = errors
        self.headers = headers or {}

    @property
    def reply(self) -> Reply:
        return Reply(self.status, {"errors": list(self.errors)}, self.headers)


def envelope(
    data: Mapping[str, Any] | None,
    *,
    lease_id: str = "",
    lease_duration: int = 0,
    renewable: bool = False,
    warnings: list[str] | None = None,
    auth: Json | None = None,
) -> Json:
    """Lay `data` (or `auth`, after a login) into the eight fields of every secret."""
    return {
        "request_id": str(uuid.uuid4()),
        "lease_id": lease_id,
        "renewable": renewable,
        "lease_duration": lease_duration,
        "data": None if data is None else dict(data),
        "wrap_info": None,
        "warnings": warnings,
        "auth": auth,
    }


def secret(data: Mapping[str, Any] | None, *, status: int = 200, **fields: Any) -> Reply:
    """Answer with `data` in an envelope; `fields` are those of `envelope`."""
    return Reply(status, envelope(data, **fields))


def spread(data: Mapping[str, Any]) -> Reply:
    """Answer with `data` in an envelope and beside it, as the oldest sys/ endpoints do."""
    return Reply(200, {**data, **envelope(data)})


def no_content() -> Reply:
    """Answer a write that has nothing to tell."""
    return Reply(204)


def aggregated(text: str) -> str:
    """Word `text` as Vault's list of one error, which tells a policy's denial from a dead token."""
    return f"1 error occurred:\n\t* {text}\n\n"
