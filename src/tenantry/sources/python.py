"""A secret from a function of the application, sync or async."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from tenantry.errors import Failure, SourceError
from tenantry.forks import survives_fork
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

    call: str | Callable[[], Any] = Field(
        description="The function, as package.module:function; sync or async, without arguments."
    )

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
    """Calls functions on threads, and awaits async ones on one event loop of its own.

    One loop for all calls: what an async function keeps between them, such as an http client,
    belongs to the loop that it was made on.
    """

    def __init__(self, settings: None, tools: SourceTools) -> None:
        del settings, tools
        self.after_fork()
        survives_fork(self)

    def after_fork(self) -> None:
        """Start without a loop: the thread that ran it stayed with the parent."""
        self._lock = threading.Lock()  # guards _loop
        self._loop: asyncio.AbstractEventLoop | None = None

    def fetch(self, options: PythonReference, *, forced: bool) -> Document:
        del forced
        function = _imported(options.call) if isinstance(options.call, str) else options.call
        result = function()
        if inspect.iscoroutine(result):
            result = asyncio.run_coroutine_threadsafe(result, self._running_loop()).result()
        if isinstance(result, Document):
            return result
        if isinstance(result, (str, Mapping)):
            return Document(result)
        reason = f"{options} returned {type(result).__name__}, not a text, mapping or Document"
        raise SourceError(reason, failure=Failure.DENIED)

    def close(self) -> None:
        """End the loop, if there is one."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                thread = threading.Thread(
                    target=_run, args=(self._loop,), name="tenantry-python", daemon=True
                )
                thread.start()
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    with contextlib.closing(loop):
        loop.run_forever()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(loop.shutdown_asyncgens())


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
