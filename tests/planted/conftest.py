from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.planted.estate import PLANTED, Estate

from tenantry.testing import EntraServer, OpenAIServer, VaultServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Estate]:
    with (
        OpenAIServer() as openai,
        VaultServer(root_token=PLANTED["vault_token"]) as vault,
        EntraServer() as entra,
    ):
        yield Estate(openai, vault, entra, tmp_path)
