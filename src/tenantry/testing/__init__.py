"""Servers on loopback sockets, and fixtures, for tests of services that use tenantry.

Every server is a context manager; in pytest the fixtures `openai_server`, `vault_server` and
`entra_server` start one for a test and stop it afterwards.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenantry.testing.certificates import CertificateAuthority as CertificateAuthority
    from tenantry.testing.entra import EntraServer as EntraServer
    from tenantry.testing.openai import OpenAIServer as OpenAIServer
    from tenantry.testing.vault import VaultServer as VaultServer

_HOME_OF = {
    "CertificateAuthority": "certificates",
    "EntraServer": "entra",
    "OpenAIServer": "openai",
    "VaultServer": "vault",
}

__all__ = ["CertificateAuthority", "EntraServer", "OpenAIServer", "VaultServer"]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value
