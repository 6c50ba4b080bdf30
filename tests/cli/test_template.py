"""The configuration that `tenantry init` writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tenantry.cli.init import PROVIDERS, SOURCES
from tenantry.cli.template import configuration
from tenantry.loading import load
from tenantry.sources import kinds

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("provider", "source"),
    [(provider, source) for provider in PROVIDERS for source in SOURCES],
)
def test_it_loads_as_it_is(provider: str, source: str, tmp_path: Path) -> None:
    """Every template is a configuration of one tenant that nothing is wrong with."""
    file = tmp_path / "tenants.yaml"
    text = configuration(provider, source)
    file.write_text(
        text.replace("azure_ad_token_provider", "api_key") if provider == "openai" else text
    )
    read = load(file, environ={}, kinds=kinds())

    assert {} == read.quarantined
    assert provider == read.tenants["acme"].settings.provider
    assert source in {
        reference.source for _, reference in read.tenants["acme"].settings.references()
    }


def test_comments_stand_in_one_column() -> None:
    """What is said of a line begins where that of the others does."""
    lines = configuration("azure", "vault").splitlines()
    columns = {line.index(" # ") for line in lines if " # " in line and not line.startswith("#")}

    assert 1 == len(columns)
