"""A secret from an environment variable."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tenantry.errors import Failure, SourceError
from tenantry.secret import Document
from tenantry.settings import ReferenceOptions
from tenantry.sources.base import SourceKind

if TYPE_CHECKING:
    from tenantry.sources.base import SourceTools


class EnvReference(ReferenceOptions):
    """`{env: NAME}`: the variable `NAME` of the environment that the registry was opened with."""

    main: ClassVar[str] = "name"

    name: str = Field(description="The variable's name.")


class EnvSource:
    """Reads the registry's environment, which is `os.environ` unless `open()` was told another."""

    def __init__(self, settings: None, tools: SourceTools) -> None:
        del settings
        self._environ = tools.environ

    def fetch(self, options: EnvReference, *, forced: bool) -> Document:
        del forced
        value = self._environ.get(options.name)
        if value is None:
            reason = f"variable {options.name} is not set"
            raise SourceError(reason, failure=Failure.ABSENT, hint="set it and start again")
        return Document(value)

    def close(self) -> None:
        """Nothing is held."""


KIND = SourceKind("env", EnvReference, EnvSource, local=True)
