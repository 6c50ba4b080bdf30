from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tenantry.errors import CredentialUnavailableError, Failure
from tenantry.sources import kinds

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sources.conftest import Bench

PLANTED = "sk-planted-0123456789"


def test_a_variable_is_read_at_each_fetch(opened: Callable[..., Bench]) -> None:
    """The environment that the registry was opened with counts, as it is now."""
    environ = {"KEY": PLANTED}
    bench = opened(environ=environ)
    assert PLANTED == bench.value({"env": "KEY"})
    environ["KEY"] = "other"
    assert "other" == bench.value({"env": {"name": "KEY"}})


def test_the_process_environment_does_not_reach_it(
    opened: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable of the process is not found where the registry was given another environment."""
    monkeypatch.setenv("KEY", PLANTED)
    assert "variable KEY is not set" in str(opened().error({"env": "KEY"}))


def test_an_absent_variable_is_absent(opened: Callable[..., Bench]) -> None:
    """The failure is of the class that lets `first_of` move on, and says what to do."""
    error = opened().error({"env": "KEY"})
    assert (Failure.ABSENT, "set it and start again") == (error.failure, error.hint)


@pytest.mark.parametrize("value", ["", f"{PLANTED}\nx", f"{PLANTED}é"])
def test_an_unusable_variable_is_refused_unseen(
    opened: Callable[..., Bench], shown: Callable[[BaseException, str], bool], value: str
) -> None:
    """A value that no header can carry is an error that names the variable."""
    bench = opened(environ={"KEY": value})
    with pytest.raises(CredentialUnavailableError, match="api_key from env KEY") as caught:
        bench.credential({"env": "KEY"}).get()
    assert not shown(caught.value, PLANTED)


def test_a_variable_may_hold_several_secrets(opened: Callable[..., Bench]) -> None:
    """A variable with a JSON object has fields."""
    bench = opened(environ={"KEYS": '{"api_key": "a", "webhook_secret": "b"}'})
    assert "a" == bench.value({"env": "KEYS"})
    assert "b" == bench.value({"env": {"name": "KEYS", "field": "webhook_secret"}})
    assert kinds()["env"].local
