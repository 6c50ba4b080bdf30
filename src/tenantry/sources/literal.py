"""A secret that stands in the configuration itself: for tests, and for code that has it already."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, SecretStr

from tenantry.secret import Document
from tenantry.settings import ReferenceOptions
from tenantry.sources.base import SourceKind

if TYPE_CHECKING:
    from tenantry.sources.base import SourceTools


class LiteralReference(ReferenceOptions):
    """`{literal: VALUE}`: the value itself. `check` warns about it."""

    main: ClassVar[str] = "value"

    value: SecretStr = Field(description="The secret itself, for tests.")

    def __str__(self) -> str:
        return "(in the configuration)"


class LiteralSource:
    """Hands out what the reference holds."""

    def __init__(self, settings: None, tools: SourceTools) -> None:
        del settings, tools

    def fetch(self, options: LiteralReference, *, forced: bool) -> Document:
        del forced
        return Document(options.value.get_secret_value())

    def close(self) -> None:
        """Nothing is held."""


KIND = SourceKind("literal", LiteralReference, LiteralSource, local=True)
