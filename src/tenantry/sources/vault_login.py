"""How this process logs in to Vault, and keeps the session that it gets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tenantry.errors import CredentialUnavailableError, SourceError
from tenantry.secret import Document
from tenantry.settings import Model, SecretReference
from tenantry.sources.vault_replies import answer, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tenantry.sources.base import SecretGetter, SourceTools

KUBERNETES_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class AppRole(Model):
    """Log in with a role id and a secret id."""

    role_id: str
    secret_id: SecretReference
    mount: str = "approle"


class Kubernetes(Model):
    """Log in as the pod's service account."""

    role: str
    token_file: Path = KUBERNETES_TOKEN
    mount: str = "kubernetes"


AUTH_METHODS = ("token", "token_file", "approle", "kubernetes")


class Auth(Protocol):
    """What `auth:` of a Vault source says."""

    @property
    def token(self) -> SecretReference | None: ...
    @property
    def token_file(self) -> str | None: ...
    @property
    def approle(self) -> AppRole | None: ...
    @property
    def kubernetes(self) -> Kubernetes | None: ...


class Login:
    """Logs in, and renews while that buys time; `fetch` is what the session's keeper calls."""

    def __init__(
        self,
        how: Callable[[Any], Mapping[str, Any]],
        client: Callable[[str], Any],
    ) -> None:
        self._how = how
        self._client = client
        # The token, and how long it lived when it was new; swapped whole.
        self._renewable: tuple[str, float] | None = None

    def fetch(self, *, forced: bool) -> Document:
        """Return the session as a document with the one field `token`."""
        if self._renewable is not None and not forced:
            renewed = self._renewed(*self._renewable)
            if renewed is not None:
                return renewed
        with refuse("Vault", "login"):
            auth = self._how(self._client(""))
        return self._session(auth)

    def _renewed(self, token: str, life: float) -> Document | None:
        try:
            with refuse("Vault", "renewal"):
                auth = answer(self._client(token).auth.token.renew_self())["auth"]
        except SourceError:
            return None
        lasts = float(auth["lease_duration"])
        # Near its maximum life a session gets less at each renewal: a login gets the whole.
        return Document({"token": token}, lifetime=lasts) if lasts > life / 2 else None

    def _session(self, auth: Mapping[str, Any]) -> Document:
        token, lasts = str(auth["client_token"]), float(auth["lease_duration"])
        self._renewable = (token, lasts) if auth.get("renewable") and lasts else None
        return Document({"token": token}, lifetime=lasts or None)


def login_for(auth: Auth, tools: SourceTools, client: Callable[[str], Any]) -> Login:
    """Return the login that the settings ask for."""
    if auth.approle is not None:
        how = _approle(auth.approle, tools.credential_for(auth.approle.secret_id))
    elif auth.kubernetes is not None:
        how = _kubernetes(auth.kubernetes)
    elif auth.token_file is not None:
        path = Path(auth.token_file)
        how = _token(lambda: _text(path), client)
    else:
        assert auth.token is not None  # noqa: S101  # the model demands exactly one
        held = tools.credential_for(auth.token)
        how = _token(lambda: _secret(held), client)
    return Login(how, client)


def _approle(role: AppRole, secret_id: SecretGetter) -> Callable[[Any], Mapping[str, Any]]:
    def login(client: Any) -> Mapping[str, Any]:
        reply = client.auth.approle.login(
            role_id=role.role_id,
            secret_id=_secret(secret_id),
            mount_point=role.mount,
            use_token=False,
        )
        return _auth(reply)

    return login


def _kubernetes(role: Kubernetes) -> Callable[[Any], Mapping[str, Any]]:
    def login(client: Any) -> Mapping[str, Any]:
        reply = client.auth.kubernetes.login(
            role=role.role, jwt=_text(role.token_file), use_token=False, mount_point=role.mount
        )
        return _auth(reply)

    return login


def _token(
    read: Callable[[], str], client: Callable[[str], Any]
) -> Callable[[Any], Mapping[str, Any]]:
    def login(_: Any) -> Mapping[str, Any]:
        token = read()
        about = answer(client(token).auth.token.lookup_self())["data"]
        return {
            "client_token": token,
            "lease_duration": about["ttl"],
            "renewable": about["renewable"],
        }

    return login


def _auth(reply: Any) -> Mapping[str, Any]:
    auth: Mapping[str, Any] = answer(reply)["auth"]
    return auth


def _secret(held: SecretGetter) -> str:
    try:
        return held.get().reveal()
    except CredentialUnavailableError as error:
        raise SourceError(str(error), retry_after=error.retry_after) from error


def _text(path: Path) -> str:
    try:
        return Document(path.read_text().strip()).secret(None, "token").reveal()
    except OSError as error:
        raise SourceError(f"token file {path} cannot be read: {error.strerror}") from None
    except SourceError as error:
        raise SourceError(f"token file {path}: {error.reason}") from None
