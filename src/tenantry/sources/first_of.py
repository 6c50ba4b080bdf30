"""The first of several references that has a secret."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from tenantry.errors import CredentialUnavailableError, Failure, SourceError
from tenantry.secret import Document
from tenantry.settings import ReferenceOptions, SecretReference
from tenantry.sources.base import SourceKind

if TYPE_CHECKING:
    from tenantry.secret import Secret
    from tenantry.sources.base import SourceTools


class FirstOfReference(ReferenceOptions):
    """`{first_of: [REFERENCE, ...]}`: the first member that is there; nearer ones come first."""

    main: ClassVar[str] = "members"

    members: tuple[SecretReference, ...] = Field(
        min_length=1,
        description="A list of secret references, of which the first that is there wins.",
    )

    @field_validator("members")
    @classmethod
    def _without_setting(cls, members: tuple[SecretReference, ...]) -> tuple[SecretReference, ...]:
        # A member's document has no field called "members": it names one, or has only one.
        return tuple(replace(member, setting="") for member in members)

    def nested(self) -> tuple[SecretReference, ...]:
        return self.members

    def __str__(self) -> str:
        return ", ".join(str(member) for member in self.members)


class FirstOfSource:
    """Asks its members in order, and moves on only from one that says *absent*.

    A member that cannot be reached is not passed over: its secret may well be the right one.
    """

    def __init__(self, settings: None, tools: SourceTools) -> None:
        del settings
        self._credential_for = tools.credential_for

    def fetch(self, options: FirstOfReference, *, forced: bool) -> Document:
        missing: list[str] = []
        for member in options.members:
            try:
                secret = self._secret(member, forced=forced)
            except CredentialUnavailableError as error:
                missing.append(f"{member}: {_absence(error)}")
            else:
                return Document(secret.reveal(), version=secret.version)
        raise SourceError("; ".join(missing), failure=Failure.ABSENT)

    def _secret(self, member: SecretReference, *, forced: bool) -> Secret:
        credential = self._credential_for(member)
        if forced:
            # Members keep what they have: without this, a rejected secret would come back at once.
            credential.refresh()
        return credential.get()

    def close(self) -> None:
        """Nothing is held."""


def _absence(error: CredentialUnavailableError) -> str:
    """Return why a member is absent.

    Raises:
        SourceError: where it is not absent: what it failed with.
    """
    cause = error.__cause__
    if isinstance(cause, SourceError) and cause.failure is Failure.ABSENT:
        return cause.reason
    failure = cause.failure if isinstance(cause, SourceError) else Failure.TRANSIENT
    raise SourceError(str(error), failure=failure, retry_after=error.retry_after) from error


KIND = SourceKind("first_of", FirstOfReference, FirstOfSource)
