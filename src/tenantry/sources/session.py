"""Reading with a session: log in once more before a refusal is believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenantry.errors import Failure, SourceError
from tenantry.keeper import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.keeper import Held, Keeper
    from tenantry.secret import Document, Secret


def read_with(session: Keeper, who: str, read: Callable[[str], Document]) -> Document:
    """Read a document with the session's token, and once more with a new one where it is denied.

    An expired session and a policy's refusal look the same, so a denial counts only after a login.

    Raises:
        SourceError: what `read` raises, or why there is no session.
    """
    token = _token(_current(session, who))
    try:
        return read(token.reveal())
    except SourceError as error:
        if error.failure is not Failure.DENIED:
            raise
        fresh = session.better(token, _token)
        if fresh is None:
            raise
        return read(fresh.reveal())


def _token(held: Held) -> Secret:
    return held.document.secret(None, "token")


def _current(session: Keeper, who: str) -> Held:
    try:
        return session.current()
    except Unavailable as unavailable:
        cause = unavailable.cause
        raise SourceError(
            f"cannot log in to {who}: {cause.reason}",
            failure=cause.failure,
            hint=cause.hint,
            retry_after=unavailable.retry_after,
        ) from cause
