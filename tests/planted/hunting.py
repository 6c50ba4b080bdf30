"""What a secret looks like wherever it is written, and the places where errors show it."""

from __future__ import annotations

import base64
import json
import logging
import pickle
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote

import pytest
import structlog
from openai import OpenAIError
from rich.traceback import Traceback

from tenantry import TenantryError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

Surfaces: TypeAlias = dict[str, str]

HERE = str(Path(__file__).parent)
FAILURES = (TenantryError, OpenAIError, ValueError, TypeError)


def forms(secret: str) -> Iterator[str]:
    """Return what a secret looks like: plain, URL-quoted, and in base64 wherever it begins."""
    yield secret
    yield quote(secret, safe="")
    yield quote(secret)
    for before, lost in ((0, 0), (1, 2), (2, 3)):
        coded = base64.b64encode(b"\0" * before + secret.encode()).decode()
        whole = len(coded) - (4 if coded.endswith("=") else 0)
        yield coded[lost:whole]
        yield coded[lost:whole].replace("+", "-").replace("/", "_")


def found_in(surfaces: Surfaces, planted: Mapping[str, str]) -> list[str]:
    """Return which secret shows where, with what stands before it."""
    return [
        f"{place} in {surface}: ...{text[max(0, text.index(form) - 120) : text.index(form)]!r}"
        for surface, text in surfaces.items()
        for place, secret in planted.items()
        for form in dict.fromkeys(forms(secret))
        if form in text
    ]


# -- what is looked at ----------------------------------------------------------------------------


def words(error: BaseException) -> Iterator[tuple[str, str]]:
    """Return what an error says, and what caused it, without any frame's locals."""
    seen: BaseException | None = error
    while seen is not None:
        yield "words", f"{seen} {seen!r} {seen.args!r} {vars(seen)!r}"
        seen = seen.__cause__ or seen.__context__
    yield "traceback", "".join(traceback.format_exception(error))


def pickled(error: BaseException) -> Iterator[tuple[str, str]]:
    """Return an error as a queue or a cache would keep it; one that cannot be shows nothing."""
    with suppress(pickle.PicklingError, TypeError, AttributeError):
        yield "pickle", repr(pickle.dumps(error))


def tracebacks(error: BaseException) -> Iterator[tuple[str, str]]:
    """Return an error as it is written with the locals of its frames, but the tests' own."""
    without_frames_of_tests(error)
    locals_too = traceback.TracebackException.from_exception(error, capture_locals=True)
    yield "locals", "".join(locals_too.format())
    yield "rich", in_rich(error)
    transformer = structlog.tracebacks.ExceptionDictTransformer(
        show_locals=True, locals_max_string=10_000, locals_max_length=1_000, max_frames=100
    )
    said = (type(error), error, error.__traceback__)
    yield "structlog", json.dumps(transformer(said), default=repr)


def in_rich(error: BaseException) -> str:
    """Return what rich writes of an error, without the lines of code, which it takes long over."""
    said = (type(error), error, error.__traceback__)
    trace = Traceback.extract(
        *said, show_locals=True, locals_max_length=1_000, locals_max_string=10_000
    )
    shown = [
        f"{name} = {node}"
        for stack in trace.stacks
        for frame in stack.frames
        for name, node in (frame.locals or {}).items()
    ]
    return "\n".join([*(stack.exc_value for stack in trace.stacks), *shown])


def without_frames_of_tests(error: BaseException) -> None:
    """Leave out the first frames, those of this folder: what they hold is the tests' own."""
    seen: BaseException | None = error
    while seen is not None:
        frames = seen.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename.startswith(HERE):
            frames = frames.tb_next
        seen.__traceback__ = frames
        seen = seen.__cause__ or seen.__context__


class Hunt:
    """What was seen so far, by where; `look` says what is seen of an error."""

    def __init__(self, look: Callable[[BaseException], Iterator[tuple[str, str]]] = words) -> None:
        self.look = look
        self.surfaces: Surfaces = {}
        self.errors = 0

    def see(self, name: str, *things: object) -> None:
        self.surfaces[f"{len(self.surfaces)} {name}"] = " ".join(map(repr, things))

    def fails(self, name: str, act: Callable[[], object]) -> None:
        """Do what must fail, and look at the error from all sides."""
        with pytest.raises(FAILURES) as caught:
            act()
        self._look(name, caught.value)

    async def afails(self, name: str, act: Awaitable[object]) -> None:
        with pytest.raises(FAILURES) as caught:
            await act
        self._look(name, caught.value)

    def _look(self, name: str, error: BaseException) -> None:
        self.errors += 1
        logging.getLogger("application").error("%s failed", name, exc_info=error)
        for kind, text in self.look(error):
            self.surfaces[f"{len(self.surfaces)} {name}, {kind}"] = text
