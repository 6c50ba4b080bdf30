"""A cookie that a server sets is sent with no later request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr
from tests.clients.transport.conftest import KEY

from tenantry import ClientRegistry

if TYPE_CHECKING:
    from tests.clients.conftest import Echo


async def test_cookies_do_not_come_back(echo: Echo) -> None:
    """A cookie that an answer sets is sent with no later request, by no client of the tenant."""
    said = {"base_url": f"{echo.url}/v1", "api_key": SecretStr(KEY)}
    async with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
        client, aclient = registry.client("acme"), registry.async_client("acme")
        for _ in range(2):
            client.models.list()
            client.with_options(timeout=5).models.list()
            await aclient.models.list()
    assert 6 == len(echo.seen)
    assert not any("cookie" in headers for _, headers in echo.seen)
