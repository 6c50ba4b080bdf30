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
    from tenantry.sources.base import SourceTools


class FirstOfReference(ReferenceOptions):
    """`{first_of: [REFERENCE, ...]}`: the first member that is there; nearer ones come first."""

    main: ClassVar[str] = "members"

    members: tuple[SecretReference, ...] = Field(min_length=1)

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
        del forced
        missing: list[str] = []
        for member in options.members:
            try:
                secret = self._credential_for(member).get()
            except CredentialUnavailableError as error:
                cause = error.__cause__
                if not isinstance(cause, SourceError) or cause.failure is not Failure.ABSENT:
                    raise SourceError(str(error)) from error
                missing.append(f"{member}: {cause.reason}")
            else:
                return Document(secret.reveal(), version=secret.version)
        raise SourceError("; ".join(missing), failure=Failure.ABSENT)

    def close(self) -> None:
        """Nothing is held."""


KIND = SourceKind("first_of", FirstOfReference, FirstOfSource)
