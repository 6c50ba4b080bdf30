from __future__ import annotations

from typing import TYPE_CHECKING

import openai
import pytest

from tenantry.testing.openai import OpenAIServer

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "sk-acme-0123456789"
API_VERSION = "2024-10-21"


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        running.allow(KEY, tenant="acme", version="1")
        yield running


@pytest.fixture
def client(server: OpenAIServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as opened:
        yield opened


@pytest.fixture
def azure(server: OpenAIServer) -> Iterator[openai.AzureOpenAI]:
    with openai.AzureOpenAI(
        azure_endpoint=server.azure_endpoint,
        api_key=KEY,
        api_version=API_VERSION,
        max_retries=0,
    ) as opened:
        yield opened
