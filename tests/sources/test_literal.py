from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from tenantry.sources import kinds

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sources.conftest import Bench

PLANTED = "sk-planted-0123456789"


def test_a_literal_is_the_secret(opened: Callable[..., Bench]) -> None:
    """What stands in the configuration, or in a `SecretStr` of the code, is handed out."""
    bench = opened()
    assert PLANTED == bench.value({"literal": PLANTED})
    assert PLANTED == bench.value({"literal": SecretStr(PLANTED)})
    assert None is bench.fetch({"literal": PLANTED}, forced=True).lifetime


def test_a_literal_never_prints_itself(opened: Callable[..., Bench]) -> None:
    """Neither the reference nor its document shows the value."""
    bench = opened()
    said = {"literal": PLANTED}
    reference = bench.reference(said)
    assert "literal (in the configuration)" == str(reference)
    assert PLANTED not in f"{reference!r} {bench.fetch(said)!r} {bench.credential(said).status()}"


def test_two_literals_are_two_documents(opened: Callable[..., Bench]) -> None:
    """Literals of different values never share a credential's document."""
    bench = opened()
    assert "a" == bench.credential({"literal": "a"}).get().reveal()
    assert "b" == bench.credential({"literal": "b"}).get().reveal()


def test_a_literal_stays_on_the_machine() -> None:
    """It can be warmed without a network."""
    assert kinds()["literal"].local
