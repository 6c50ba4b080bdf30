"""A reference to the newest version becomes one to another."""

from __future__ import annotations

import pytest

from tenantry.errors import SourceError
from tenantry.settings import RefreshSettings
from tenantry.sources.command import CommandReference
from tenantry.sources.key_vault import KeyVaultReference
from tenantry.sources.vault import VaultReference
from tenantry.sources.versions import at_version


def test_all_but_the_version_is_as_it_was_said() -> None:
    """The path, the mount, the field and the limits; a version that was said is displaced."""
    refresh = RefreshSettings(every=5.0)
    said = VaultReference(path="acme", mount="kv", field="key", version=3, refresh=refresh)
    assert said.model_copy(update={"version": 6}) == at_version(said, "6")
    assert "6f" == getattr(at_version(KeyVaultReference(name="acme"), "6f"), "version", None)


@pytest.mark.parametrize("version", ["six", "0", "-1", "1.5", ""])
def test_what_cannot_be_a_version_is_refused(version: str) -> None:
    """In Vault versions are numbers from 1: others mean the newest there, or nothing."""
    with pytest.raises(SourceError, match="cannot be a version of acme"):
        at_version(VaultReference(path="acme"), version)


def test_a_reference_without_versions_says_so() -> None:
    """What a program prints has no other version."""
    with pytest.raises(SourceError, match="it has no versions to ask for"):
        at_version(CommandReference(argv=("pass", "show")), "6")
