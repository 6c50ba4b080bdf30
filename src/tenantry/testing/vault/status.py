"""The sys/ endpoints that answer anybody, sealed or not: health, seal status, unseal, leader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenantry.testing.vault.envelope import Json, RefusedError, Reply
from tenantry.testing.vault.routes import RoutedEngine

if TYPE_CHECKING:
    from tenantry.testing.vault.mounts import Call
    from tenantry.testing.vault.state import VaultState

VERSION = "1.8.0-dev"
PATHS = frozenset({"health", "seal-status", "leader", "unseal", "init"})
_NEVER = "0001-01-01T00:00:00Z"


class Status(RoutedEngine):
    """How the server is; needs no token, is behind no quota and is not redirected."""

    def __init__(self, state: VaultState) -> None:
        self._state = state
        super().__init__(
            ("read", "health", self._health),
            ("read", "seal-status", self._seal_status),
            ("read", "leader", self._leader),
            ("read", "init", self._init),
            ("write", "unseal", self._unseal),
        )

    def _health(self, call: Call) -> Reply:
        sealed, standby = self._state.sealed, self._state.standby_location is not None
        replication = "unknown" if sealed else "disabled"
        body: Json = {
            "initialized": True,
            "sealed": sealed,
            "standby": sealed or standby,
            "performance_standby": False,
            "replication_performance_mode": replication,
            "replication_dr_mode": replication,
            "server_time_utc": int(call.now),
            "version": VERSION,
        }
        return Reply(self._health_status(call), body | self._cluster())

    def _health_status(self, call: Call) -> int:
        if self._state.sealed:
            return int(call.query.get("sealedcode", 503))
        if self._state.standby_location is None or "standbyok" in call.query:
            return int(call.query.get("activecode", 200))
        return int(call.query.get("standbycode", 429))

    def _seal_status(self, _call: Call) -> Reply:
        body: Json = {
            "type": "shamir",
            "initialized": True,
            "sealed": self._state.sealed,
            "t": 1,
            "n": 1,
            "progress": 0,
            "nonce": "",
            "version": VERSION,
            "migration": False,
            "recovery_seal": False,
            "storage_type": "inmem",
        }
        return Reply(200, body | self._cluster())

    def _cluster(self) -> Json:
        if self._state.sealed:
            return {}
        return {"cluster_name": self._state.cluster_name, "cluster_id": self._state.cluster_id}

    def _leader(self, _call: Call) -> Reply:
        if self._state.sealed:
            raise RefusedError(503, "Vault is sealed")
        location = self._state.standby_location
        body: Json = {
            "ha_enabled": location is not None,
            "is_self": False,
            "active_time": _NEVER,
            "leader_address": location or "",
            "leader_cluster_address": "",
            "performance_standby": False,
            "performance_standby_last_remote_wal": 0,
        }
        return Reply(200, body)

    def _init(self, _call: Call) -> Reply:
        return Reply(200, {"initialized": True})

    def _unseal(self, call: Call) -> Reply:
        if call.body.get("key") != self._state.unseal_key:
            raise RefusedError(400, "unseal failed, invalid key")
        self._state.sealed = False
        return self._seal_status(call)
