"""Who may do what on a Vault server: policies, auth methods and tokens, from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tenantry.testing.vault import times
from tenantry.testing.vault.approle import AppRole, Role
from tenantry.testing.vault.auth import Account, CertificateAuth, TokenExchange, UserPass
from tenantry.testing.vault.envelope import envelope
from tenantry.testing.vault.mounts import slashed
from tenantry.testing.vault.policies import Policy
from tenantry.testing.vault.secret_controls import Duration, SecretControls
from tenantry.testing.vault.tokens import Token, TokenRules

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenantry.testing.vault.mounts import Engine

_Method = TypeVar("_Method", bound="Engine")


class AccessControls(SecretControls):
    """The controls of policies, auth methods and tokens.

    An auth method is enabled at its usual path, or at `mount`, when its first role is made. Making
    a role again replaces it.
    """

    def add_policy(self, name: str, hcl: str, *, namespace: str = "") -> None:
        """Write a policy: `path "..." { capabilities = [...] }` blocks with `*` and `+`."""
        with self.lock:
            self._namespace(namespace).policies[name] = Policy.parse(name, hcl)

    def approle(  # noqa: PLR0913 - a role has that many settings
        self,
        name: str,
        *,
        policies: Iterable[str] = (),
        token_ttl: Duration = "1h",
        token_max_ttl: Duration = 0,
        token_num_uses: int = 0,
        secret_id_ttl: Duration = 0,
        secret_id_num_uses: int = 0,
        mount: str = "approle",
        namespace: str = "",
    ) -> tuple[str, str]:
        """Make an AppRole and return its role id and a first secret id."""
        body = {
            "token_policies": list(policies),
            "token_ttl": token_ttl,
            "token_max_ttl": token_max_ttl,
            "token_num_uses": token_num_uses,
            "secret_id_ttl": secret_id_ttl,
            "secret_id_num_uses": secret_id_num_uses,
        }
        with self.lock:
            role = self._method(mount, namespace, "approle", AppRole).put(name, body)
            return role.role_id, role.new_secret_id(self._clock()).value

    def new_secret_id(
        self,
        name: str,
        wrap_ttl: Duration | None = None,
        *,
        mount: str = "approle",
        namespace: str = "",
    ) -> str:
        """Make another secret id; with `wrap_ttl`, return a token that unwraps to it.

        Raises:
            LookupError: there is no such role.
        """
        with self.lock:
            made = self._role(name, mount, namespace).new_secret_id(self._clock())
            if wrap_ttl is None:
                return made.value
            path = f"auth/{slashed(mount)}role/{name}/secret-id"
            ttl = times.seconds(wrap_ttl)
            return self._state.wrappings.put(envelope(made.given_out()), path, ttl, self._clock())

    def revoke_secret_ids(self, name: str, *, mount: str = "approle", namespace: str = "") -> None:
        """Make every secret id of a role invalid; its tokens live on."""
        with self.lock:
            self._role(name, mount, namespace).secret_ids.clear()

    def kubernetes_role(
        self,
        name: str,
        *,
        jwt: str,
        policies: Iterable[str] = (),
        token_ttl: Duration = "1h",
        token_max_ttl: Duration = 0,
        mount: str = "kubernetes",
        namespace: str = "",
    ) -> None:
        """Let the service account token `jwt` log in as `name`; calling again replaces it."""
        rules = _rules(policies, token_ttl, token_max_ttl)
        with self.lock:
            method = self._method(mount, namespace, "kubernetes", TokenExchange)
            method.roles[name] = Account(jwt, rules)

    def jwt_role(
        self,
        name: str,
        *,
        jwt: str,
        policies: Iterable[str] = (),
        token_ttl: Duration = "1h",
        token_max_ttl: Duration = 0,
        mount: str = "jwt",
        namespace: str = "",
    ) -> None:
        """Let `jwt` log in as `name`; calling again replaces it."""
        rules = _rules(policies, token_ttl, token_max_ttl)
        with self.lock:
            method = self._method(mount, namespace, "jwt", TokenExchange)
            method.roles[name] = Account(jwt, rules)

    def userpass(
        self,
        user: str,
        password: str,
        policies: Iterable[str] = (),
        *,
        token_ttl: Duration = "1h",
        token_max_ttl: Duration = 0,
        mount: str = "userpass",
        namespace: str = "",
    ) -> None:
        """Let `user` log in with `password`; calling again replaces it."""
        rules = _rules(policies, token_ttl, token_max_ttl)
        with self.lock:
            method = self._method(mount, namespace, "userpass", UserPass)
            method.users[user] = Account(password, rules)

    def certificate_role(
        self,
        name: str,
        *,
        policies: Iterable[str] = (),
        token_ttl: Duration = "1h",
        token_max_ttl: Duration = 0,
        mount: str = "cert",
        namespace: str = "",
    ) -> None:
        """Let whoever shows a client certificate log in as `name`.

        Callers have shown one where the server's `certificate` has a `client_ca_file`; without
        TLS, `trust_callers` says that they have.
        """
        rules = _rules(policies, token_ttl, token_max_ttl)
        with self.lock:
            self._method(mount, namespace, "cert", CertificateAuth).roles[name] = rules

    def trust_callers(self, trusted: bool = True) -> None:
        """Treat all callers as if they had shown a client certificate, or none."""
        with self.lock:
            self._state.certificate_presented = trusted

    def token(  # noqa: PLR0913 - a token has that many properties
        self,
        policies: Iterable[str] = (),
        ttl: Duration = "1h",
        *,
        max_ttl: Duration = 0,
        period: Duration = 0,
        renewable: bool = True,
        num_uses: int = 0,
        batch: bool = False,
        parent: str | None = None,
        namespace: str = "",
    ) -> str:
        """Make a token, an orphan unless `parent` is another token that is alive.

        Raises:
            LookupError: `parent` is not alive.
        """
        rules = TokenRules(
            policies=tuple(policies),
            ttl=times.seconds(ttl),
            explicit_max_ttl=times.seconds(max_ttl),
            period=times.seconds(period),
            num_uses=num_uses,
            renewable=renewable,
            kind="batch" if batch else "service",
        )
        with self.lock:
            above = None if parent is None else self._living(parent)
            place = self._namespace(namespace).path
            made, _ = self._state.tokens.issue(
                rules, self._clock(), namespace=place, parent=above, orphan=above is None
            )
            return made.id

    def revoke_token(self, token: str) -> None:
        """End a token, its children and their leases; one that is gone already is ignored."""
        with self.lock:
            found = self._state.tokens.find(token, self._clock())
            if found is not None:
                self._state.tokens.revoke(found)

    def revoke_all_sessions(self) -> int:
        """End every token but root tokens, and return how many that were."""
        with self.lock:
            ended = [token for token in self._state.tokens if not token.is_root]
            for token in ended:
                self._state.tokens.revoke(token)
            return len(ended)

    def _living(self, token: str) -> Token:
        found = self._state.tokens.find(token, self._clock())
        if found is None:
            message = "the parent token is not alive"
            raise LookupError(message)
        return found

    def _role(self, name: str, mount: str, namespace: str) -> Role:
        role = self._method(mount, namespace, "approle", AppRole).roles.get(name)
        if role is None:
            message = f"there is no role {name}: call approle()"
            raise LookupError(message)
        return role

    def _method(self, path: str, namespace: str, kind: str, expected: type[_Method]) -> _Method:
        place = self._namespace(namespace)
        mount = place.auth.get(slashed(path)) or self._state.enable_auth(place, path, kind)
        if not isinstance(mount.engine, expected) or mount.kind != kind:
            message = f"auth/{slashed(path)} is of the kind {mount.kind}, not {kind}"
            raise TypeError(message)
        return mount.engine


def _rules(policies: Iterable[str], ttl: Duration, max_ttl: Duration) -> TokenRules:
    return TokenRules(
        policies=tuple(policies), ttl=times.seconds(ttl), max_ttl=times.seconds(max_ttl)
    )
