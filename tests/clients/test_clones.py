"""Clones by their options: the same one for the same options, and never many."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from tenantry import ClientRegistry, OptionNotAllowedError
from tenantry.clients.clones import KEPT
from tenantry.clients.http import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.clients.conftest import Acme

ALIKE: list[dict[str, Any]] = [
    {"timeout": 5},
    {"timeout": httpx.Timeout(5, connect=1)},
    {"timeout": None},
    {"max_retries": 0, "organization": "org-1"},
    {"default_headers": {"X-Team": "blue", "X-Other": "1"}},
    {"set_default_query": {"page": 1}},
]
APART: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"timeout": 5}, {"timeout": 6}),
    ({"timeout": None}, {}),
    ({"timeout": httpx.Timeout(5, connect=1)}, {"timeout": httpx.Timeout(5, connect=2)}),
    ({"default_headers": {"X": "1"}}, {"set_default_headers": {"X": "1"}}),
    ({"default_headers": {"X": "1"}}, {"default_query": {"X": "1"}}),
    ({"default_query": {"X": 1}}, {"default_query": {"X": True}}),
    ({"default_query": {"X": 1}}, {"default_query": {"X": 1.0}}),
    ({"organization": ""}, {"organization": None}),
]


@pytest.fixture(params=["client", "async_client"])
def ask(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    said = {"api_key": SecretStr("sk-acme-0123456789")}
    with ClientRegistry.open({"tenants": {"acme": said, "globex": said}}, environ={}) as registry:
        yield getattr(registry, request.param)


@pytest.mark.parametrize("options", ALIKE, ids=str)
def test_the_same_options_are_the_same_clone(
    ask: Callable[..., Any], options: dict[str, Any]
) -> None:
    """Who asks with options that were asked for before gets what was made then."""
    copies = {
        name: dict(value) if isinstance(value, dict) else value for name, value in options.items()
    }
    assert ask("acme", **options) is ask("acme", **copies)


@pytest.mark.parametrize(("some", "others"), APART, ids=str)
def test_other_options_are_another_clone(
    ask: Callable[..., Any], some: dict[str, Any], others: dict[str, Any]
) -> None:
    """Options that differ in anything that is sent are other clones, and none is the client."""
    assert ask("acme", **some) is not ask("acme", **others)
    assert ask("acme", **some) is not ask("acme")


def test_tenants_share_no_clone(ask: Callable[..., Any]) -> None:
    """A clone is of one tenant."""
    assert ask("acme", timeout=5) is not ask("globex", timeout=5)


def test_a_mapping_that_changes_afterwards_changes_no_clone(ask: Callable[..., Any]) -> None:
    """What counts is what a mapping held when it was said."""
    headers = {"X-Team": "blue"}
    blue = ask("acme", default_headers=headers)
    headers["X-Team"] = "red"
    red = ask("acme", default_headers=headers)
    found = [client.default_headers["X-Team"] for client in (blue, red)]
    assert ["blue", "red"] == found


def test_options_that_differ_every_time_are_not_kept(ask: Callable[..., Any]) -> None:
    """A header that is another one in every request keeps a few clones alive, not all."""
    made = [
        weakref.ref(ask("acme", default_headers={"X-Request": str(number)}))
        for number in range(10 * KEPT)
    ]
    gc.collect()
    assert KEPT == sum(1 for clone in made if clone() is not None)


def test_values_that_cannot_be_looked_up_are_cloned_each_time(ask: Callable[..., Any]) -> None:
    """A list in a query works as it does in the SDK, without being kept."""
    options: dict[str, Any] = {"default_query": {"include": ["a", "b"]}}
    some, others = ask("acme", **options), ask("acme", **options)
    assert some is not others
    assert ["a", "b"] == some.default_query["include"] == others.default_query["include"]


def test_an_option_that_is_refused_stays_refused(ask: Callable[..., Any]) -> None:
    """Nothing that could move a credential is kept by being asked for twice."""
    for _ in range(2):
        with pytest.raises(OptionNotAllowedError):
            ask("acme", base_url="http://127.0.0.1:1")
        with pytest.raises(OptionNotAllowedError):
            ask("acme", default_headers={"Authorization": "Bearer x"})


async def test_a_clone_sends_what_its_options_say(acme: Acme) -> None:
    """Clones that are handed out again send their own headers and query, and the tenant's key."""
    registry = acme.registry()
    for number in (1, 2, 1):
        said: Any = {"default_headers": {"X-Team": f"{number}"}, "default_query": {"n": number}}
        request = await acme.sent(acme.of(registry, **said))
        assert (f"{number}", [f"{number}"]) == (request.header["x-team"], request.query["n"])
        assert acme.key == acme.credential_of(request)


def test_an_evicted_tenants_clones_go_with_it(ask: Callable[..., Any]) -> None:
    """Eviction drops clones that nobody holds, and the next one is made of the next client."""
    registry: ClientRegistry = ask.__self__  # type: ignore[attr-defined]  # a bound method
    before = weakref.ref(ask("acme", timeout=5))
    registry.evict("acme")
    gc.collect()
    assert before() is None
    assert ask("acme", timeout=5) is ask("acme", timeout=5)


def test_threads_that_ask_at_once_get_one_clone(ask: Callable[..., Any]) -> None:
    """Whoever comes second takes what the first has made."""
    together = threading.Barrier(8)

    def asked(_: int) -> Any:
        together.wait(10)
        return ask("acme", timeout=5)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(asked, range(8)))
    assert 1 == len({id(clone) for clone in found})
