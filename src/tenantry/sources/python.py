"""A secret from a function of the application, sync or async."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator

from tenantry.errors import Failure, SourceError
from tenantry.secret import Document
from tenantry.settings import ReferenceOptions, invalid
from tenantry.sources.base import SourceKind

if TYPE_CHECKING:
    from tenantry.sources.base import SourceTools


class PythonReference(ReferenceOptions):
    """`{python: "package.module:function"}`, or the function itself where settings are code.

    It takes no arguments and returns a text, a mapping of fields, or a `Document`.
    """

    main: ClassVar[str] = "call"

    call: str | Callable[[], Any]

    @field_validator("call")
    @classmethod
    def _named_in_full(cls, value: str | Callable[[], Any]) -> str | Callable[[], Any]:
        if isinstance(value, str) and not all(part for part in value.partition(":")):
            message = "is not the name of a function: write package.module:function"
            raise invalid(message)
        return value

    def __str__(self) -> str:
        return self.call if isinstance(self.call, str) else getattr(self.call, "__name__", "call")


class PythonSource:
    """Calls the function on a thread; an async one gets an event loop for the call."""

    def __init__(self, settings: None, tools: SourceTools) -> None:
        del settings, tools

    def fetch(self, options: PythonReference, *, forced: bool) -> Document:
        del forced
        function = _imported(options.call) if isinstance(options.call, str) else options.call
        result = function()
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
        if isinstance(result, Document):
            return result
        if isinstance(result, (str, Mapping)):
            return Document(result)
        reason = f"{options} returned {type(result).__name__}, not a text, mapping or Document"
        raise SourceError(reason, failure=Failure.DENIED)

    def close(self) -> None:
        """Nothing is held."""


def _imported(name: str) -> Callable[[], Any]:
    module, _, function = name.partition(":")
    try:
        found: object = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        reason = f"there is no function {name}"
        raise SourceError(reason, failure=Failure.DENIED) from error
    if not callable(found):
        raise SourceError(f"{name} is not a function", failure=Failure.DENIED)
    return found


KIND = SourceKind("python", PythonReference, PythonSource)
