"""A source's own login: which of several ways, how it is kept, and what a refusal means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import model_validator

from tenantry.errors import CredentialUnavailableError, Failure, SourceError
from tenantry.flight import Unavailable
from tenantry.settings import Model, SecretReference, invalid

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from tenantry.flight import Fetch
    from tenantry.freshness import RefreshPolicy
    from tenantry.holding import Held
    from tenantry.secret import Document, Secret
    from tenantry.sources.base import SecretGetter, SourceTools

BELIEVED = 5.0  # seconds after a login in which a refusal is the policy's, not the session's


class LoginChoice(Model):
    """How to log in: exactly one of the fields, by name alone where it needs no settings."""

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: object) -> object:
        if isinstance(value, str) and value in cls.model_fields:
            return {value: {}}
        if isinstance(value, Mapping) and len(value) == 1:
            return {name: {} if said is None else said for name, said in value.items()}
        return value

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self._said()) != 1:
            message = "has to be exactly one of {ways}"
            raise invalid(message, ways=", ".join(type(self).model_fields))
        return self

    @property
    def chosen(self) -> str:
        """The name of the way to log in."""
        return self._said()[0]

    def references(self) -> tuple[SecretReference, ...]:
        """Return every secret that the chosen way needs."""
        way = getattr(self, self.chosen)
        if isinstance(way, SecretReference):
            return (way,)
        names = type(way).model_fields if isinstance(way, Model) else ()
        parts = (getattr(way, name) for name in names)
        return tuple(part for part in parts if isinstance(part, SecretReference))

    def _said(self) -> list[str]:
        return [name for name in type(self).model_fields if getattr(self, name) is not None]


def own_secret(held: SecretGetter) -> str:
    """Return a secret that a source needs for itself.

    Raises:
        SourceError: where it cannot be had: which one, and why.
    """
    try:
        return held.get().reveal()
    except CredentialUnavailableError as error:
        reason = f"its {error.reference}: {error.reason}"
        raise SourceError(reason, retry_after=error.retry_after) from error


class Session:
    """One kept login and the reads that use it; lives as long as its source.

    An expired session and a policy's refusal look the same, so a denial counts only once a login
    has shown that the session is good. One login does so for every path: else a policy that denies
    many would cause a login for each.
    """

    def __init__(self, tools: SourceTools, who: str, policy: RefreshPolicy, login: Fetch) -> None:
        self._who = who
        self._login = login
        self._failure: SourceError | None = None  # of the latest login, None where it went well
        self.keeper = tools.keep("login", policy, self._fetch)

    def read_with(self, read: Callable[[Held], Document]) -> Document:
        """Read a document, and once more with a new session where the first is denied.

        Raises:
            SourceError: what `read` raises, or why there is no session.
        """
        held = self._current()
        try:
            return read(held)
        except SourceError as error:
            if error.failure is not Failure.DENIED or not self._replaced(token(held)):
                raise
        return read(self._current())

    def _replaced(self, used: Secret) -> bool:
        """Whether another session than the one that was denied is held, after a login if need be.

        Raises:
            SourceError: where a login was due and failed: nothing is known of the denial then.
        """
        keeper = self.keeper
        held = keeper.held
        young = held is not None and keeper.clock() - held.got < BELIEVED
        if young and held is not None and token(held) == used:
            return False
        if keeper.replacement(used, token) is not None:
            return True
        if self._failure is not None:
            raise self._refused(self._failure, self._failure.retry_after)
        return False

    def _fetch(self, *, forced: bool) -> Document:
        self._failure = SourceError("there is no answer yet")
        try:
            document = self._login(forced=forced)
        except SourceError as error:
            self._failure = error
            raise
        self._failure = None
        return document

    def _current(self) -> Held:
        try:
            return self.keeper.current()
        except Unavailable as unavailable:
            raise self._refused(unavailable.cause, unavailable.retry_after) from unavailable.cause

    def _refused(self, cause: SourceError, retry_after: float | None) -> SourceError:
        # What is absent is the way to log in: of the document nothing is known.
        absent = cause.failure is Failure.ABSENT
        return SourceError(
            f"cannot log in to {self._who}: {cause.reason}",
            failure=Failure.DENIED if absent else cause.failure,
            hint=cause.hint,
            retry_after=retry_after,
        )


def token(held: Held) -> Secret:
    """Return the token of a session, whose document is the token or has it as a field."""
    return held.document.secret(None, "token")
