"""Every parameter of the SDK's constructors, as it goes over the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import SecretStr

from tenantry import UnsupportedSettingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.clients.conftest import Acme


async def test_a_key_from_code_is_sent(acme: Acme) -> None:
    """A key that code passes as a SecretStr is what the server receives, the one way it goes."""
    request = await acme.sent(acme.client(api_key=SecretStr(acme.key)))
    assert acme.key == acme.credential_of(request)


async def test_a_key_from_a_variable_is_sent(acme: Acme) -> None:
    """`{env: NAME}` reads the environment that the registry was opened with."""
    client = acme.client(api_key={"env": "KEY_ACME"}, environ={"KEY_ACME": acme.key})
    assert acme.key == acme.credential_of(await acme.sent(client))


async def test_a_key_from_a_function_is_sent(acme: Acme) -> None:
    """A function stands for its result, for sync and async clients alike."""
    request = await acme.sent(acme.client(api_key=lambda: acme.key))
    assert acme.key == acme.credential_of(request)


async def test_a_key_from_a_coroutine_function_is_sent(acme: Acme) -> None:
    """An async function stands for its result, for sync and async clients alike."""

    async def key() -> str:
        return acme.key

    request = await acme.sent(acme.client(api_key=key))
    assert acme.key == acme.credential_of(request)
