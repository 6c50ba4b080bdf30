"""Servers that know the planted secrets, and configurations that have one at every place."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

import openai
from pydantic import SecretStr

from tenantry.testing.certificates import CertificateAuthority

if TYPE_CHECKING:
    from pathlib import Path

    from tenantry.testing import EntraServer, OpenAIServer, VaultServer
    from tenantry.testing.entra import IssuedToken

PLACES = (
    *("key", "rotated", "refused", "foreign", "header", "query", "webhook", "proxy", "admin"),
    *("put", "vault_token", "vault_key", "entra", "called", "raised", "bare", "authorization"),
    *("environment", "row", "tls_text", "lacking", "pinned", "fingerprint_key", "own_webhook"),
)
PLANTED: Final = {place: f"sk-planted/{place}+0123456789" for place in PLACES}
KNOWS_ADMIN_KEYS = "admin_api_key" in inspect.signature(openai.OpenAI).parameters
SCOPE = "https://cognitiveservices.azure.com/.default"


class Estate:
    """What is planted, and where; beside `PLANTED` the tokens that Entra issues and a TLS key."""

    def __init__(
        self, openai: OpenAIServer, vault: VaultServer, entra: EntraServer, directory: Path
    ) -> None:
        self.openai, self.vault, self.entra = openai, vault, entra
        self.authority = CertificateAuthority(directory)
        self.client = self.authority.client("acme")
        self._planted = {**PLANTED, "tls_key": self.tls_key.splitlines()[1]}
        for place in ("key", "rotated", "vault_key", "called", "environment", "row", "pinned"):
            openai.allow(PLANTED[place])
        vault.put("acme", {"api_key": PLANTED["vault_key"]})
        vault.put("lacking", {"password": PLANTED["lacking"], "other": PLANTED["lacking"]})
        entra.register_app("app", secret=PLANTED["entra"])
        entra.on_issue.append(self._issued)
        self.environ = dict(PLANTED)

    @property
    def planted(self) -> dict[str, str]:
        return self._planted.copy()

    @property
    def tls_key(self) -> str:
        return self.client.key_file.read_text()

    def config(self) -> dict[str, Any]:
        """Return a configuration in code."""
        planted = {place: SecretStr(secret) for place, secret in PLANTED.items()}
        said = {"base_url": self.openai.base_url, "max_retries": 0, "http": "httpx"}
        proxy = {"url": "http://127.0.0.1:9", "username": "u", "password": planted["proxy"]}
        certificate = SecretStr(self.client.certificate_file.read_text())
        return {
            **self._sources(),
            "registry": {"warm": "none", "fingerprint_key": planted["fingerprint_key"]},
            "allow": {"secrets": {"literal": ["*"]}, "origins": [self.openai.url]},
            "tenants": {
                "acme": {
                    **said,
                    "api_key": planted["key"],
                    **({"admin_api_key": planted["admin"]} if KNOWS_ADMIN_KEYS else {}),
                    "webhook_secret": planted["webhook"],
                    "default_headers": {"X-Extra": planted["header"]},
                    "default_query": {"extra": planted["query"]},
                },
                "environment": {**said, "api_key": {"env": "environment"}},
                "refused": {**said, "api_key": planted["refused"]},
                "proxied": {**said, "api_key": planted["key"], "proxy": proxy},
                "vaulted": {**said, "api_key": {"vault": "acme"}},
                "absent": {**said, "api_key": {"vault": "nothing"}},
                "lacking": {**said, "api_key": {"vault": "lacking"}},
                "called": {**said, "api_key": {"python": lambda: PLANTED["called"]}},
                "raising": {**said, "api_key": {"python": raising}},
                "carried": {**said, "api_key": planted["key"], "http": "aiohttp"},
                "azure": self._azure(),
                "certified": {
                    **said,
                    "api_key": planted["key"],
                    "tls": {"certificate": certificate, "key": SecretStr(self.tls_key)},
                },
                "unreadable": {
                    **said,
                    "api_key": planted["key"],
                    "tls": {"certificate": planted["tls_text"], "key": planted["tls_text"]},
                },
                "bare": {**said, "api_key": PLANTED["bare"], "max_retries": PLANTED["bare"]},
                "worded": {**said, "default_headers": {"Authorization": PLANTED["authorization"]}},
            },
        }

    def text_config(self) -> dict[str, Any]:
        """Return a configuration as a file has it: secrets are in variables, but for mistakes."""
        said = {"base_url": self.openai.base_url, "max_retries": 0}
        return {
            **self._sources(),
            "registry": {"fingerprint_key": {"env": "fingerprint_key"}},
            "tenants": {
                "acme": {
                    **said,
                    "api_key": {"env": "key"},
                    "webhook_secret": {"env": "webhook"},
                    "default_headers": {"X-Extra": PLANTED["header"]},
                    "default_query": {"extra": PLANTED["query"]},
                },
                "vaulted": {**said, "api_key": {"vault": "acme"}},
                "absent": {**said, "api_key": {"vault": "nothing"}},
                "lacking": {**said, "api_key": {"vault": "lacking"}},
                "refused": {**said, "api_key": {"env": "refused"}},
                "literal": {**said, "api_key": {"literal": PLANTED["foreign"]}},
                "azure": self._azure(),
                "bare": {**said, "api_key": PLANTED["bare"], "max_retries": PLANTED["bare"]},
                "worded": {**said, "default_headers": {"Authorization": PLANTED["authorization"]}},
            },
        }

    def _sources(self) -> dict[str, Any]:
        token = {"auth": {"token": {"env": "vault_token"}}}
        secret = {
            "directory_id": self.entra.directory_id,
            "client_id": "app",
            "client_secret": {"env": "entra"},
        }
        trust = {"authority": self.entra.authority, "tls": {"ca": str(self.entra.ca_file)}}
        entra = {"auth": {"client_secret": secret}, **trust}
        return {"sources": {"vault": {"address": self.vault.url, **token}, "entra": entra}}

    def _azure(self) -> dict[str, Any]:
        return {
            "provider": "azure",
            "azure_endpoint": self.openai.azure_endpoint,
            "api_version": "2024-10-21",
            "azure_ad_token": {"entra": SCOPE},
            "max_retries": 0,
        }

    def _issued(self, token: IssuedToken) -> None:
        self._planted[f"token {token.sequence}"] = token.value
        self.openai.allow(token.value)


def raising() -> str:
    raise ValueError(PLANTED["raised"])
