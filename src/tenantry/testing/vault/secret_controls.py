"""What tests do to a Vault server's secrets from Python, without HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenantry.testing.serving import LoopbackServer
from tenantry.testing.vault import times
from tenantry.testing.vault.dynamic import (
    DEFAULT_TTL,
    Dynamic,
    DynamicRole,
    Mint,
    user_and_password,
)
from tenantry.testing.vault.kv1 import KeyValue
from tenantry.testing.vault.kv2 import KeyValue2
from tenantry.testing.vault.mounts import Namespace, slashed
from tenantry.testing.vault.state import VaultState
from tenantry.testing.vault.tokens import SYSTEM_TTL, TokenStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tenantry.testing.certificates import ServerCertificate
    from tenantry.testing.vault.mounts import Engine

Duration = int | str
"""Whole seconds, or Vault's notation: `90`, `"90s"`, `"1h30m"`."""


class SecretControls(LoopbackServer):
    """The state of a Vault server, and the controls of its secrets engines.

    Every control takes `namespace`, the root by default. Threads may call them at any time.
    """

    name = "vault"

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        root_token: str,
        port: int,
        certificate: ServerCertificate | None,
    ) -> None:
        super().__init__(port=port, certificate=certificate)
        self.root_token = root_token
        self._clock = clock
        self._state = VaultState(TokenStore(root_token, clock()))
        self.mount("secret")

    def add_namespace(self, path: str) -> None:
        """Create a namespace with a KV 2 engine at secret/, and its parents.

        Until the first is created, the server ignores namespaces as the open-source edition does.
        """
        parts = path.strip("/").split("/")
        with self.lock:
            for depth in range(1, len(parts) + 1):
                made = self._state.add_namespace("/".join(parts[:depth]))
                if "secret/" not in made.mounts:
                    self._state.mount(made, "secret", "kv", "2")

    def mount(self, path: str, kind: str = "kv", *, version: int = 2, namespace: str = "") -> None:
        """Mount an engine: `kv` (of `version` 1 or 2), `database` or `pki`."""
        with self.lock:
            self._state.mount(self._namespace(namespace), path, kind, str(version))

    def unmount(self, path: str, *, namespace: str = "") -> None:
        """Drop an engine with all that it holds; an absent one is ignored."""
        with self.lock:
            self._namespace(namespace).mounts.pop(slashed(path), None)

    def put(
        self, path: str, data: Mapping[str, Any], *, mount: str = "secret", namespace: str = ""
    ) -> int:
        """Write a secret and return its version, 0 in a KV 1 engine.

        Raises:
            LookupError: nothing is mounted at `mount`.
            TypeError: what is mounted there is no KV engine.
        """
        with self.lock:
            return self._key_value(mount, namespace).put(path, data, self._clock())

    def delete(
        self,
        path: str,
        *,
        versions: Iterable[int] = (),
        mount: str = "secret",
        namespace: str = "",
    ) -> None:
        """Delete a secret: in KV 2 the latest or the named versions, which can be brought back."""
        with self.lock:
            self._key_value(mount, namespace).delete(path, self._clock(), versions)

    def undelete(
        self,
        path: str,
        *,
        versions: Iterable[int] = (),
        mount: str = "secret",
        namespace: str = "",
    ) -> None:
        """Bring back deleted versions of a KV 2 secret, the latest if none is named."""
        with self.lock:
            self._versioned(mount, namespace).undelete(path, versions)

    def destroy(
        self,
        path: str,
        *,
        versions: Iterable[int] = (),
        mount: str = "secret",
        namespace: str = "",
    ) -> None:
        """Destroy versions of a KV 2 secret for good, the latest if none is named."""
        with self.lock:
            self._versioned(mount, namespace).destroy(path, versions)

    def forget(self, path: str, *, mount: str = "secret", namespace: str = "") -> None:
        """Drop a KV 2 secret with all its versions, as if it had never been there."""
        with self.lock:
            self._versioned(mount, namespace).forget(path)

    def dynamic_role(
        self,
        name: str,
        *,
        mint: Mint = user_and_password,
        ttl: Duration = DEFAULT_TTL,
        max_ttl: Duration = SYSTEM_TTL,
        renewable: bool = True,
        mount: str = "database",
        namespace: str = "",
    ) -> None:
        """Let `{mount}/creds/{name}` mint credentials; the engine is mounted if it is not yet.

        `mint` is called with the role's name and the number of the credential, from 1, and returns
        the reply's `data`.
        """
        role = DynamicRole(mint, times.seconds(ttl), times.seconds(max_ttl), renewable)
        with self.lock:
            found = self._namespace(namespace)
            if slashed(mount) not in found.mounts:
                self._state.mount(found, mount, "database")
            self._dynamic(mount, namespace).roles[name] = role

    @property
    def leases(self) -> tuple[str, ...]:
        """The ids of the leases that are alive now, oldest first."""
        with self.lock:
            return tuple(lease.id for lease in self._state.leases.alive(self._clock()))

    def revoke_lease(self, lease_id: str) -> None:
        """End a lease; one that is gone already is ignored."""
        with self.lock:
            lease = self._state.leases.find(lease_id, self._clock())
            if lease is not None:
                lease.revoked = True

    def _namespace(self, path: str) -> Namespace:
        found = self._state.namespaces.get(slashed(path))
        if found is None:
            message = f"there is no namespace {slashed(path)}: call add_namespace()"
            raise LookupError(message)
        return found

    def _key_value(self, mount: str, namespace: str) -> KeyValue:
        engine = self._mounted(mount, namespace)
        if not isinstance(engine, KeyValue):
            raise _of_another_type(mount, "KV")
        return engine

    def _versioned(self, mount: str, namespace: str) -> KeyValue2:
        engine = self._mounted(mount, namespace)
        if not isinstance(engine, KeyValue2):
            raise _of_another_type(mount, "KV 2")
        return engine

    def _dynamic(self, mount: str, namespace: str) -> Dynamic:
        engine = self._mounted(mount, namespace)
        if not isinstance(engine, Dynamic):
            raise _of_another_type(mount, "database")
        return engine

    def _mounted(self, mount: str, namespace: str) -> Engine:
        found = self._namespace(namespace).mounts.get(slashed(mount))
        if found is None:
            message = f"nothing is mounted at {slashed(mount)}: call mount()"
            raise LookupError(message)
        return found.engine


def _of_another_type(mount: str, wanted: str) -> TypeError:
    return TypeError(f"what is mounted at {slashed(mount)} is no {wanted} engine")
