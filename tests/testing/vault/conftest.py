"""A Vault server with a clock that tests move, and clients of it that are closed again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hvac
import pytest

from tenantry.testing.vault import ManualClock, VaultServer, vault_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tenantry.testing.vault import VaultTarget


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def vault(clock: ManualClock) -> Iterator[VaultServer]:
    with VaultServer(clock=clock) as server:
        yield server


@pytest.fixture
def connect() -> Iterator[Callable[..., Any]]:
    """Make hvac clients; a token is "" unless given, for None reads the developer's own."""
    made: list[Any] = []

    def client(url: str, token: str = "", **options: Any) -> Any:
        made.append(hvac.Client(url=url, token=token, **options))
        return made[-1]

    yield client
    for each in made:
        each.adapter.close()


@pytest.fixture
def root(vault: VaultServer, connect: Callable[..., Any]) -> Any:
    return connect(vault.url, vault.root_token)


@pytest.fixture
def target() -> Iterator[VaultTarget]:
    with vault_target() as found:
        yield found
