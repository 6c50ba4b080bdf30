"""The sys/ endpoints that need a token: mounts, auth methods, namespaces, quotas, and the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenantry.testing.vault import times
from tenantry.testing.vault.envelope import Json, RefusedError, Reply, no_content, secret, spread
from tenantry.testing.vault.lease_endpoints import lease_routes
from tenantry.testing.vault.mounts import Call, Mount, slashed
from tenantry.testing.vault.policies import capabilities, reaches
from tenantry.testing.vault.policy_endpoints import policy_routes
from tenantry.testing.vault.quotas import RateLimit
from tenantry.testing.vault.routes import RoutedEngine
from tenantry.testing.vault.tokens import SYSTEM_TTL
from tenantry.testing.vault.wrapping_endpoints import wrapping_routes

if TYPE_CHECKING:
    from tenantry.testing.vault.state import VaultState


class System(RoutedEngine):
    """Configuration; one instance serves all namespaces."""

    def __init__(self, state: VaultState) -> None:
        self._state = state
        super().__init__(
            ("read", "mounts", self._mounts),
            ("write", "mounts/*", self._mount),
            ("delete", "mounts/*", self._unmount),
            ("read", "mounts/+/tune", self._tune),
            ("read", "auth", self._auth_methods),
            ("write", "auth/*", self._enable_auth),
            ("delete", "auth/*", self._disable_auth),
            ("read", "internal/ui/mounts/*", self._preflight),
            ("write", "seal", self._seal),
            ("write", "namespaces/+", self._add_namespace),
            ("list", "namespaces", self._namespaces),
            ("write", "quotas/config", self._configure_quotas),
            ("write", "quotas/rate-limit/+", self._write_quota),
            ("delete", "quotas/rate-limit/+", self._delete_quota),
            ("write", "capabilities-self", self._capabilities_self),
            *policy_routes(),
            *lease_routes(state),
            *wrapping_routes(state),
        )

    def _mounts(self, call: Call) -> Reply:
        return spread(_described(call.namespace.mounts))

    def _mount(self, call: Call, path: str) -> Reply:
        options = call.body.get("options") or {}
        version = str(options.get("version") or "")
        self._state.mount(call.namespace, path, str(call.body.get("type")), version)
        return no_content()

    def _unmount(self, call: Call, path: str) -> Reply:
        call.namespace.mounts.pop(slashed(path), None)
        return no_content()

    def _tune(self, call: Call, path: str) -> Reply:
        mount = call.namespace.mounts.get(slashed(path))
        if mount is None:
            raise RefusedError(400, f"cannot fetch sysview for path {slashed(path)}")
        data: Json = {
            "default_lease_ttl": SYSTEM_TTL,
            "description": mount.description,
            "force_no_cache": False,
            "max_lease_ttl": SYSTEM_TTL,
        }
        return spread(data if mount.options is None else data | {"options": dict(mount.options)})

    def _auth_methods(self, call: Call) -> Reply:
        return spread(_described(call.namespace.auth))

    def _enable_auth(self, call: Call, path: str) -> Reply:
        self._state.enable_auth(call.namespace, path, str(call.body.get("type")))
        return no_content()

    def _disable_auth(self, call: Call, path: str) -> Reply:
        call.namespace.auth.pop(slashed(path), None)
        return no_content()

    def _preflight(self, call: Call, path: str) -> Reply:
        if not path:
            mounts, auth = call.namespace.mounts, call.namespace.auth
            return secret({"secret": _described(mounts), "auth": _described(auth)})
        mount = call.namespace.mount_of(path)
        if mount is None or not self._may_see(call, mount):
            text = "preflight capability check returned 403, please ensure client's policies grant"
            raise RefusedError(403, f'{text} access to path "{slashed(path)}"')
        return secret({**mount.describe(), "path": mount.path})

    def _may_see(self, call: Call, mount: Mount) -> bool:
        token = call.caller
        return token.is_root or reaches(self._state.policies_of(token), mount.path)

    def _seal(self, _call: Call) -> Reply:
        self._state.sealed = True
        return no_content()

    def _add_namespace(self, call: Call, name: str) -> Reply:
        made = self._state.add_namespace(f"{call.namespace.path}{name}")
        return secret({"id": name, "path": made.path})

    def _namespaces(self, call: Call) -> Reply:
        here = call.namespace.path
        below = [each.removeprefix(here) for each in self._state.namespaces if each != here]
        names = sorted(each for each in below if each.count("/") == 1)
        if not names:
            raise RefusedError(404)
        return secret({"keys": names})

    def _configure_quotas(self, call: Call) -> Reply:
        told = call.body.get("enable_rate_limit_response_headers", False)
        self._state.quotas.with_headers = bool(told)
        return no_content()

    def _write_quota(self, call: Call, name: str) -> Reply:
        path = f"{call.namespace.path}{call.body.get('path') or ''}"
        interval = times.seconds(call.body.get("interval"), 1)
        self._state.quotas.limits[name] = RateLimit(path, int(call.required("rate")), interval)
        return no_content()

    def _delete_quota(self, _call: Call, name: str) -> Reply:
        self._state.quotas.limits.pop(name, None)
        return no_content()

    def _capabilities_self(self, call: Call) -> Reply:
        asked = call.body.get("paths") or [call.body.get("path", "")]
        told = {str(path): self._capabilities(call, str(path)) for path in asked}
        return secret({**told, "capabilities": next(iter(told.values()))})

    def _capabilities(self, call: Call, path: str) -> list[str]:
        if call.caller.is_root:
            return ["root"]
        allowed = capabilities(self._state.policies_of(call.caller), path)
        return sorted(allowed) or ["deny"]


def _described(mounts: dict[str, Mount]) -> Json:
    return {path: mount.describe() for path, mount in mounts.items()}
