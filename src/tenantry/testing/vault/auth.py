"""The smaller auth methods: userpass, JWT, Kubernetes and TLS certificates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tenantry.testing.vault.envelope import (
    PERMISSION_DENIED,
    Json,
    RefusedError,
    Reply,
    no_content,
)
from tenantry.testing.vault.logins import Login, log_in
from tenantry.testing.vault.routes import RoutedEngine
from tenantry.testing.vault.tokens import TokenRules, TokenStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.testing.vault.mounts import Call


@dataclass(frozen=True, slots=True)
class Account:
    """What someone must show, a password or a token of another issuer, and what they get."""

    proof: str = field(repr=False)
    rules: TokenRules


class UserPass(RoutedEngine):
    """One userpass mount."""

    def __init__(self, tokens: TokenStore) -> None:
        self._tokens = tokens
        self.users: dict[str, Account] = {}
        super().__init__(
            ("write", "login/+", self._login),
            ("write", "users/+", self._write),
            ("delete", "users/+", self._delete),
        )

    def _login(self, call: Call, name: str) -> Reply:
        user = self.users.get(name)
        if user is None or user.proof != call.body.get("password"):
            raise RefusedError(400, "invalid username or password")
        login = Login(user.rules, f"userpass-{name}", {"username": name}, alias=name)
        return log_in(self._tokens, call, login)

    def _write(self, call: Call, name: str) -> Reply:
        self.users[name] = Account(call.required("password"), TokenRules.of_role(call.body))
        return no_content()

    def _delete(self, _call: Call, name: str) -> Reply:
        self.users.pop(name, None)
        return no_content()


class TokenExchange(RoutedEngine):
    """A mount of the kind jwt or kubernetes, which trades somebody else's token for Vault's.

    No signature is checked: a role accepts exactly the token that it was told, `bound_jwt` where
    it is written over HTTP.
    """

    def __init__(self, tokens: TokenStore, kind: str) -> None:
        self._tokens = tokens
        self._kind = kind
        self.roles: dict[str, Account] = {}
        super().__init__(
            ("write", "config", self._configure),
            ("write", "login", self._login),
            ("write", "role/+", self._write),
            ("delete", "role/+", self._delete),
        )

    def _configure(self, _call: Call) -> Reply:
        return no_content()

    def _login(self, call: Call) -> Reply:
        name, given = str(call.body.get("role") or ""), str(call.body.get("jwt") or "")
        if not given:
            raise RefusedError(400, "missing jwt")
        role = self.roles.get(name)
        if role is None:
            raise RefusedError(400, self._unknown(name))
        if role.proof != given:
            raise self._distrust()
        login = Login(role.rules, f"{self._kind}-{name}", self._metadata(name), alias=name)
        return log_in(self._tokens, call, login)

    def _unknown(self, name: str) -> str:
        if self._kind == "kubernetes":
            return f'invalid role name "{name}"'
        return f'role "{name}" could not be found'

    def _distrust(self) -> RefusedError:
        if self._kind == "kubernetes":
            return RefusedError(403, PERMISSION_DENIED)
        return RefusedError(400, "error validating token: no known key successfully validated it")

    def _metadata(self, name: str) -> dict[str, str]:
        if self._kind == "kubernetes":
            return {
                "role": name,
                "service_account_name": name,
                "service_account_namespace": "default",
                "service_account_secret_name": "",
            }
        return {"role": name}

    def _write(self, call: Call, name: str) -> Reply:
        proof = str(call.body.get("bound_jwt") or "")
        self.roles[name] = Account(proof, TokenRules.of_role(call.body))
        return no_content()

    def _delete(self, _call: Call, name: str) -> Reply:
        self.roles.pop(name, None)
        return no_content()


class CertificateAuth(RoutedEngine):
    """A cert mount; `presented` tells whether callers have shown a certificate.

    A server that asks for client certificates answers nobody without one, so that all who reach
    this endpoint have one; which certificate it was is not looked at.
    """

    def __init__(self, tokens: TokenStore, presented: Callable[[], bool]) -> None:
        self._tokens = tokens
        self._presented = presented
        self.roles: dict[str, TokenRules] = {}
        super().__init__(
            ("write", "login", self._login),
            ("write", "certs/+", self._write),
        )

    def _login(self, call: Call) -> Reply:
        if not self._presented():
            raise RefusedError(400, "client certificate must be supplied")
        name = self._chosen(call.body)
        login = Login(self.roles[name], f"cert-{name}", {"cert_name": name}, alias=name)
        return log_in(self._tokens, call, login)

    def _chosen(self, body: Json) -> str:
        names = [name for name in self.roles if name == (body.get("name") or name)]
        if not names:
            raise RefusedError(400, "invalid certificate or no client certificate supplied")
        return names[0]

    def _write(self, call: Call, name: str) -> Reply:
        self.roles[name] = TokenRules.of_role(call.body)
        return no_content()
