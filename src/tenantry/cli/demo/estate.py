"""The demo's estate: three servers, tenants of every kind, and the keys that they share."""

from __future__ import annotations

import secrets
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tenantry.testing import EntraServer, OpenAIServer, VaultServer

if TYPE_CHECKING:
    from tenantry.testing.entra import IssuedToken

NAMES = (
    *("acme", "globex", "initech", "umbrella", "wonka", "stark", "wayne", "hooli"),
    *("soylent", "cyberdyne", "tyrell", "oscorp", "duff", "gringotts", "monarch", "aperture"),
    *("nakatomi", "vandelay", "pied-piper", "sirius", "krusty", "weyland", "virtucon", "zorin"),
)
POLICY = 'path "secret/data/tenants/*" { capabilities = ["read"] }'
HEADER = "x-tenant"


@dataclass(slots=True)
class DemoTenant:
    """One tenant of the demo: what it is, and which version of its key is the newest."""

    name: str
    provider: str
    source: str
    version: int = 0
    key: str = ""


class Estate:
    """Everything that the demo runs on; leaves nothing behind when it is left.

    `directory` holds the configuration and the key files, `environ` the variables that the
    registry is opened with.
    """

    def __init__(self, tenants: int) -> None:
        self.tenants = [_tenant(number) for number in range(tenants)]
        self.environ: dict[str, str] = {}
        self.openai = OpenAIServer(max_recorded=1_000_000)
        self.vault = VaultServer()
        self.entra = EntraServer()
        self._tokens = 0
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        self._exit.__enter__()
        self.directory = Path(
            self._exit.enter_context(tempfile.TemporaryDirectory(prefix="tenantry-demo-"))
        )
        for server in (self.openai, self.vault, self.entra):
            self._exit.enter_context(server)
        self.entra.on_issue.append(self._allow_token)
        self.environ["DEMO_ENTRA_SECRET"] = secrets.token_urlsafe(18)
        self.entra.register_app("demo-service", secret=self.environ["DEMO_ENTRA_SECRET"])
        for tenant in self.tenants:
            self.rotate(tenant, revoke=False)
        self.config = self.directory / "tenants.yaml"
        self.config.write_text(self._configuration())
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._exit.close()

    # -- keys -------------------------------------------------------------------------------------

    def rotate(self, tenant: DemoTenant, *, revoke: bool = True) -> None:
        """Publish a new key where the tenant's source looks, and revoke the old one at once."""
        if tenant.source == "entra":
            self._revoke_token()
            return
        old, tenant.key = tenant.key, f"sk-{tenant.name}-{secrets.token_urlsafe(18)}"
        tenant.version += 1
        self.openai.allow(tenant.key, tenant=tenant.name, version=str(tenant.version))
        self._publish(tenant)
        if old and revoke:
            self.openai.revoke(old)

    def rotating(self) -> list[DemoTenant]:
        """Return the tenants whose keys can be rotated while a process runs."""
        return [tenant for tenant in self.tenants if tenant.source != "env"]

    def _revoke_token(self) -> None:
        issued = self.entra.issued
        if issued:
            self.openai.revoke(issued[-1].value)

    def _allow_token(self, token: IssuedToken) -> None:
        self._tokens += 1
        self.openai.allow(token.value, version=str(self._tokens))

    def _publish(self, tenant: DemoTenant) -> None:
        if tenant.source == "vault":
            self.vault.put(f"tenants/{tenant.name}", {"api_key": tenant.key})
        elif tenant.source == "env":
            self.environ[_variable(tenant)] = tenant.key
        else:
            target = self._file(tenant)
            target.parent.mkdir(exist_ok=True)
            fresh = target.with_suffix(".new")
            fresh.write_text(tenant.key + "\n")
            fresh.replace(target)

    def _file(self, tenant: DemoTenant) -> Path:
        return self.directory / "keys" / tenant.name

    # -- the configuration ------------------------------------------------------------------------

    def _configuration(self) -> str:
        self.vault.add_policy("tenants", POLICY)
        role_id, secret_id = self.vault.approle("demo", policies=["tenants"])
        self.environ["DEMO_SECRET_ID"] = secret_id
        return _CONFIGURATION.format(
            vault=self.vault.url,
            role_id=role_id,
            directory_id=self.entra.directory_id,
            authority=self.entra.authority,
            ca=self.entra.ca_file,
            base_url=self.openai.base_url,
            azure_endpoint=self.openai.azure_endpoint,
            header=HEADER,
            tenants="\n".join(self._said(tenant) for tenant in self.tenants),
        )

    def _said(self, tenant: DemoTenant) -> str:
        said = ["profile: azure"] if tenant.provider == "azure" else []
        if tenant.source == "entra":
            said.append("azure_ad_token_provider: {entra: {}}")
        elif tenant.source == "file":
            said.append(f"api_key: {{file: {self._file(tenant)}}}")
        elif tenant.source == "env":
            said.append(f"api_key: {{env: {_variable(tenant)}}}")
        return f"  {tenant.name}: {{{', '.join(said)}}}"


_CONFIGURATION = """\
sources:
  vault:
    address: {vault}
    auth: {{approle: {{role_id: {role_id}, secret_id: {{env: DEMO_SECRET_ID}}}}}}
  entra:
    authority: {authority}
    tls: {{ca: {ca}}}
    auth:
      client_secret:
        directory_id: {directory_id}
        client_id: demo-service
        client_secret: {{env: DEMO_ENTRA_SECRET}}

defaults:
  base_url: {base_url}
  api_key: {{vault: "tenants/{{tenant}}"}}
  default_headers: {{{header}: "{{tenant}}"}}
  organization: "org-{{tenant}}"

profiles:
  azure:
    provider: azure
    azure_endpoint: {azure_endpoint}
    api_version: "2024-10-21"

tenants:
{tenants}
"""

# What a tenant is, by its number: half of them on Vault, as in most services.
_KINDS = (
    ("openai", "vault"),
    ("azure", "vault"),
    ("azure", "entra"),
    ("openai", "vault"),
    ("openai", "file"),
    ("openai", "env"),
)


def _tenant(number: int) -> DemoTenant:
    name = NAMES[number % len(NAMES)] + (f"-{number // len(NAMES) + 1}" * (number >= len(NAMES)))
    provider, source = _KINDS[number % len(_KINDS)]
    return DemoTenant(name, provider, source)


def _variable(tenant: DemoTenant) -> str:
    return f"DEMO_KEY_{tenant.name.upper().replace('-', '_')}"
