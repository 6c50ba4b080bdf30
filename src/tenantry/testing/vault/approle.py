"""AppRole: a role id that is no secret, and a secret id that is."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tenantry.testing.vault import times
from tenantry.testing.vault.envelope import Json, RefusedError, Reply, no_content, secret
from tenantry.testing.vault.logins import Login, log_in
from tenantry.testing.vault.routes import RoutedEngine
from tenantry.testing.vault.tokens import TokenRules, TokenStore

if TYPE_CHECKING:
    from tenantry.testing.vault.mounts import Call


@dataclass(slots=True)
class SecretId:
    """One secret id: when it ends (epoch in seconds) and the logins left, None for unlimited."""

    value: str = field(repr=False)
    expires: float | None
    uses_left: int | None
    ttl: int
    accessor: str = field(default_factory=lambda: str(uuid.uuid4()))

    def usable(self, now: float) -> bool:
        return self.uses_left != 0 and (self.expires is None or now < self.expires)

    def given_out(self) -> Json:
        """The `data` of the one reply that shows it."""
        return {
            "secret_id": self.value,
            "secret_id_accessor": self.accessor,
            "secret_id_ttl": self.ttl,
        }


@dataclass(slots=True)
class Role:
    """A role: what its tokens are like, and the secret ids that were given out for it."""

    name: str
    rules: TokenRules
    secret_id_ttl: int = 0
    secret_id_num_uses: int = 0
    bind_secret_id: bool = True
    role_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    secret_ids: dict[str, SecretId] = field(default_factory=dict[str, SecretId], repr=False)

    def new_secret_id(self, now: float, value: str = "") -> SecretId:
        made = SecretId(
            value=value or str(uuid.uuid4()),
            expires=now + self.secret_id_ttl if self.secret_id_ttl else None,
            uses_left=self.secret_id_num_uses or None,
            ttl=self.secret_id_ttl,
        )
        self.secret_ids[made.value] = made
        return made

    def spend(self, value: str, now: float) -> None:
        """Use a secret id once; unknown, expired and spent ones are refused alike."""
        found = self.secret_ids.get(value)
        if found is None or not found.usable(now):
            raise RefusedError(400, "invalid secret id")
        if found.uses_left is not None:
            found.uses_left -= 1


class AppRole(RoutedEngine):
    """One AppRole mount."""

    def __init__(self, tokens: TokenStore) -> None:
        self._tokens = tokens
        self.roles: dict[str, Role] = {}
        super().__init__(
            ("write", "login", self._login),
            ("list", "role", self._list),
            ("write", "role/+", self._write),
            ("read", "role/+", self._read),
            ("delete", "role/+", self._delete),
            ("read", "role/+/role-id", self._read_role_id),
            ("write", "role/+/role-id", self._write_role_id),
            ("write", "role/+/secret-id", self._new_secret_id),
            ("write", "role/+/custom-secret-id", self._custom_secret_id),
            ("write", "role/+/secret-id/lookup", self._lookup_secret_id),
            ("write", "role/+/secret-id/destroy", self._destroy_secret_id),
        )

    def put(self, name: str, body: Json) -> Role:
        """Create a role, or change what `body` names; its role id and secret ids stay."""
        fresh = Role(
            name=name,
            rules=TokenRules.of_role(body),
            secret_id_ttl=times.seconds(body.get("secret_id_ttl")),
            secret_id_num_uses=int(body.get("secret_id_num_uses") or 0),
            bind_secret_id=bool(body.get("bind_secret_id", True)),
        )
        kept = self.roles.get(name)
        if kept is not None:
            fresh = replace(fresh, role_id=kept.role_id, secret_ids=kept.secret_ids)
        self.roles[name] = fresh
        return fresh

    def role(self, name: str) -> Role:
        """Return a role by its name, or refuse with Vault's 404."""
        if name not in self.roles:
            raise RefusedError(404)
        return self.roles[name]

    def _login(self, call: Call) -> Reply:
        role = self._by_id(str(call.body.get("role_id") or ""))
        given = str(call.body.get("secret_id") or "")
        if role.bind_secret_id and not given:
            raise RefusedError(400, "missing secret_id")
        if role.bind_secret_id:
            role.spend(given, call.now)
        login = Login(role.rules, "approle", {"role_name": role.name}, alias=role.role_id)
        return log_in(self._tokens, call, login)

    def _by_id(self, role_id: str) -> Role:
        if not role_id:
            raise RefusedError(400, "missing role_id")
        role = next((each for each in self.roles.values() if each.role_id == role_id), None)
        if role is None:
            raise RefusedError(400, "invalid role ID")
        return role

    def _list(self, _call: Call) -> Reply:
        if not self.roles:
            raise RefusedError(404)
        return secret({"keys": sorted(self.roles)})

    def _write(self, call: Call, name: str) -> Reply:
        self.put(name, call.body)
        return no_content()

    def _read(self, _call: Call, name: str) -> Reply:
        role = self.role(name)
        return secret(
            {
                "bind_secret_id": role.bind_secret_id,
                "secret_id_num_uses": role.secret_id_num_uses,
                "secret_id_ttl": role.secret_id_ttl,
                "token_max_ttl": role.rules.max_ttl,
                "token_num_uses": role.rules.num_uses,
                "token_period": role.rules.period,
                "token_policies": list(role.rules.policies),
                "token_ttl": role.rules.ttl,
                "token_type": role.rules.kind,
            }
        )

    def _delete(self, _call: Call, name: str) -> Reply:
        self.roles.pop(name, None)
        return no_content()

    def _read_role_id(self, _call: Call, name: str) -> Reply:
        return secret({"role_id": self.role(name).role_id})

    def _write_role_id(self, call: Call, name: str) -> Reply:
        self.role(name).role_id = call.required("role_id")
        return no_content()

    def _new_secret_id(self, call: Call, name: str) -> Reply:
        return secret(self.role(name).new_secret_id(call.now).given_out())

    def _custom_secret_id(self, call: Call, name: str) -> Reply:
        value = str(call.body.get("secret_id") or "")
        return secret(self.role(name).new_secret_id(call.now, value).given_out())

    def _lookup_secret_id(self, call: Call, name: str) -> Reply:
        found = self.role(name).secret_ids.get(str(call.body.get("secret_id")))
        if found is None or not found.usable(call.now):
            return no_content()
        return secret(
            {
                "expiration_time": times.timestamp(found.expires or 0),
                "secret_id_accessor": found.accessor,
                "secret_id_num_uses": found.uses_left or 0,
                "secret_id_ttl": found.ttl,
            }
        )

    def _destroy_secret_id(self, call: Call, name: str) -> Reply:
        self.role(name).secret_ids.pop(str(call.body.get("secret_id")), None)
        return no_content()
