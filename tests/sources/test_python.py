from __future__ import annotations

import asyncio
import functools
import threading
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr, ValidationError

from tenantry.errors import CredentialUnavailableError, Failure, SourceError
from tenantry.secret import Document
from tenantry.sources import kinds
from tenantry.sources.python import PythonReference

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.sources.conftest import Bench

PLANTED = "sk-planted-0123456789"

MODULE = f"""
NUMBER = 7

def plain():
    return "{PLANTED}"

async def waiting():
    return {{"api_key": "{PLANTED}"}}
"""


@pytest.fixture
def bench(opened: Callable[..., Bench]) -> Bench:
    return opened()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "tenantry_test_keys.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return "tenantry_test_keys"


def plain() -> str:
    return PLANTED


def mapping() -> dict[str, str]:
    return {"api_key": PLANTED, "other": "x"}


def document() -> Document:
    return Document(PLANTED, version="3", lifetime=60.0)


async def waiting() -> str:
    await asyncio.sleep(0)
    return PLANTED


@pytest.mark.parametrize("function", [plain, mapping, document, waiting, functools.partial(plain)])
def test_a_function_gives_the_secret(bench: Bench, function: Callable[[], Any]) -> None:
    """A text, a mapping of fields, a `Document` or a coroutine of one of them is understood."""
    assert PLANTED == bench.value({"python": function})


@pytest.mark.parametrize("name", ["plain", "waiting"])
def test_a_function_can_be_named(bench: Bench, module: str, name: str) -> None:
    """A configuration file names a function as `package.module:function`."""
    assert PLANTED == bench.value({"python": f"{module}:{name}"})


def test_a_documents_own_facts_are_kept(bench: Bench) -> None:
    """A function that knows the version and the lifetime says so by a `Document`."""
    found = bench.fetch({"python": document})
    assert ("3", 60.0) == (found.version, found.lifetime)


async def test_an_async_function_does_not_run_on_the_callers_loop(bench: Bench) -> None:
    """A coroutine runs on a loop of the source's thread, and the caller's loop goes on."""
    loops: list[object] = []

    async def where() -> str:
        loops.extend((asyncio.get_running_loop(), threading.current_thread()))
        return PLANTED

    assert PLANTED == (await bench.credential({"python": where}).aget()).reveal()
    assert asyncio.get_running_loop() not in loops
    assert threading.main_thread() not in loops


@pytest.mark.parametrize("result", [7, None, [PLANTED], SecretStr(PLANTED), PLANTED.encode()])
def test_another_type_is_refused_unseen(
    bench: Bench, shown: Callable[[BaseException, str], bool], result: object
) -> None:
    """What is neither text, mapping nor `Document` is an error that names its type."""

    def wrong() -> object:
        return result

    error = bench.error({"python": wrong})
    assert f"wrong returned {type(result).__name__}, not a text" in str(error)
    assert Failure.DENIED is error.failure
    assert not shown(error, PLANTED)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("{module}:absent", "there is no function {module}:absent"),
        ("tenantry_no_such_module:keys", "there is no function tenantry_no_such_module:keys"),
        ("{module}:NUMBER", "{module}:NUMBER is not a function"),
    ],
)
def test_a_function_that_is_not_there_is_denied(
    bench: Bench, module: str, name: str, reason: str
) -> None:
    """A wrong name will not come right by asking often."""
    error = bench.error({"python": name.format(module=module)})
    assert (Failure.DENIED, reason.format(module=module)) == (error.failure, error.reason)


@pytest.mark.parametrize("name", ["", "keys", "keys:", ":keys"])
def test_half_a_name_is_a_configuration_error(name: str) -> None:
    """A name without a module, or without a function, is refused when it is read."""
    with pytest.raises(ValidationError, match=r"write package\.module:function"):
        PythonReference(call=name)


@pytest.mark.parametrize(
    "error", [ValueError(PLANTED), SystemExit(PLANTED), RuntimeError(f"bad {PLANTED}")]
)
def test_what_a_function_raises_is_not_shown(
    bench: Bench, shown: Callable[[BaseException, str], bool], error: BaseException
) -> None:
    """An exception is told by its type and place, because its text may quote a secret."""

    def broken() -> str:
        raise error

    with pytest.raises(CredentialUnavailableError) as caught:
        bench.credential({"python": broken}).get()
    assert f"failed with {type(error).__name__} at test_python.py:" in str(caught.value)
    assert not shown(caught.value, PLANTED)


def test_a_function_may_word_its_own_failure(bench: Bench) -> None:
    """A `SourceError` of the function arrives as it is."""

    def absent() -> str:
        raise SourceError("not in the safe", failure=Failure.ABSENT)

    error = bench.error({"python": absent})
    assert ("not in the safe", Failure.ABSENT) == (error.reason, error.failure)


def test_how_a_reference_is_shown(bench: Bench) -> None:
    """A function is shown by its name, or as `call` where it has none."""
    assert "python plain" == str(bench.reference({"python": plain}))
    assert "python keys:get" == str(bench.reference({"python": "keys:get"}))
    assert "python call" == str(bench.reference({"python": functools.partial(plain)}))
    assert not kinds()["python"].local


def test_async_functions_share_one_loop(bench: Bench) -> None:
    """What an async function keeps between two calls works in the second one too."""
    kept: list[asyncio.AbstractEventLoop] = []

    async def waiting_on_its_loop() -> str:
        kept.append(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return PLANTED

    assert [PLANTED] * 2 == [bench.value({"python": waiting_on_its_loop}) for _ in range(2)]
    assert kept[0] is kept[1]
    assert not kept[0].is_closed()


def test_closing_ends_the_loop(bench: Bench) -> None:
    """After the registry is closed, the loop and its thread are gone."""
    kept: list[threading.Thread] = []

    async def waiting_on_its_thread() -> str:
        kept.append(threading.current_thread())
        return PLANTED

    bench.value({"python": waiting_on_its_thread})
    bench.secrets.close()
    kept[0].join(10)
    assert not kept[0].is_alive()
