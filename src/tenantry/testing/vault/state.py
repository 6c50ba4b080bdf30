"""Everything that one server knows: seal, tokens, leases, quotas, namespaces."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tenantry.testing.vault import identifiers
from tenantry.testing.vault.approle import AppRole
from tenantry.testing.vault.auth import CertificateAuth, TokenExchange, UserPass
from tenantry.testing.vault.dynamic import Dynamic
from tenantry.testing.vault.envelope import RefusedError
from tenantry.testing.vault.kv1 import KeyValue1
from tenantry.testing.vault.kv2 import KeyValue2
from tenantry.testing.vault.leases import LeaseStore
from tenantry.testing.vault.mounts import Mount, Namespace, slashed
from tenantry.testing.vault.quotas import Quotas
from tenantry.testing.vault.wrapping import Wrappings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.testing.vault.mounts import Engine
    from tenantry.testing.vault.policies import Policy
    from tenantry.testing.vault.tokens import Token, TokenStore


@dataclass(slots=True, eq=False)
class VaultState:
    """The state behind one server; whoever touches it holds the server's lock."""

    tokens: TokenStore
    certificate_presented: bool = False
    sealed: bool = False
    standby_location: str | None = None
    leases: LeaseStore = field(default_factory=LeaseStore)
    quotas: Quotas = field(default_factory=Quotas)
    wrappings: Wrappings = field(default_factory=Wrappings)
    namespaces: dict[str, Namespace] = field(default_factory=lambda: {"": Namespace.fresh("")})
    unseal_key: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    cluster_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    cluster_name: str = field(default_factory=lambda: f"vault-cluster-{secrets.token_hex(4)}")

    def add_namespace(self, path: str) -> Namespace:
        """Create a namespace, empty but for the built-in mounts; an existing one is returned."""
        spelled = slashed(path)
        if spelled not in self.namespaces:
            self.namespaces[spelled] = Namespace.fresh(spelled)
        return self.namespaces[spelled]

    def mount(self, namespace: Namespace, path: str, kind: str, version: str = "") -> Mount:
        """Mount an engine: kv (version 1 or 2), database or pki."""
        kind, version = ("kv", "2") if kind == "kv-v2" else (kind, version or "1")
        made = Mount(
            slashed(path),
            kind,
            self._engine(kind, version),
            options={"version": version} if kind == "kv" else None,
            accessor=identifiers.mount_accessor(kind),
        )
        namespace.add(made)
        return made

    def enable_auth(self, namespace: Namespace, path: str, kind: str) -> Mount:
        """Enable an auth method: approle, userpass, jwt, kubernetes or cert."""
        accessor = identifiers.mount_accessor(f"auth_{kind}")
        made = Mount(slashed(path), kind, self._auth_method(kind), accessor=accessor)
        namespace.add_auth(made)
        return made

    def policies_of(self, token: Token) -> list[Policy]:
        """The policies of a token that exist, in the namespace that it comes from."""
        known = self.namespaces[token.namespace].policies
        return [known[name] for name in token.policies if name in known]

    def _engine(self, kind: str, version: str) -> Engine:
        if kind == "pki":
            # The only engine with a package of its own, cryptography, behind it.
            from tenantry.testing.vault.pki import Pki

            return Pki(self.leases)
        made: dict[str, Callable[[], Engine]] = {
            "kv": KeyValue2 if version == "2" else KeyValue1,
            "database": lambda: Dynamic(self.leases),
        }
        return _known(made, kind)

    def _auth_method(self, kind: str) -> Engine:
        made: dict[str, Callable[[], Engine]] = {
            "approle": lambda: AppRole(self.tokens),
            "userpass": lambda: UserPass(self.tokens),
            "jwt": lambda: TokenExchange(self.tokens, "jwt"),
            "kubernetes": lambda: TokenExchange(self.tokens, "kubernetes"),
            "cert": lambda: CertificateAuth(self.tokens, lambda: self.certificate_presented),
        }
        return _known(made, kind)


def _known(made: dict[str, Callable[[], Engine]], kind: str) -> Engine:
    if kind not in made:
        raise RefusedError(400, f'plugin not found in the catalog: "{kind}"')
    return made[kind]()
