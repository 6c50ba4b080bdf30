"""Fixtures for tests of services that use tenantry: a registry in memory, and loopback servers.

All are context managers; in pytest the fixtures `fake_registry`, `openai_server`, `vault_server`
and `entra_server` make one for a test and end it afterwards. Only the servers need
`tenantry[testing]`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenantry.testing.certificates import CertificateAuthority as CertificateAuthority
    from tenantry.testing.entra import EntraServer as EntraServer
    from tenantry.testing.fake import FakeRegistry as FakeRegistry
    from tenantry.testing.openai import OpenAIServer as OpenAIServer
    from tenantry.testing.vault import VaultServer as VaultServer

_HOME_OF = {
    "CertificateAuthority": "certificates",
    "EntraServer": "entra",
    "FakeRegistry": "fake",
    "OpenAIServer": "openai",
    "VaultServer": "vault",
}

__all__ = ["CertificateAuthority", "EntraServer", "FakeRegistry", "OpenAIServer", "VaultServer"]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value
