"""How this process logs in to Vault, and keeps the session that it gets."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tenantry.errors import SourceError
from tenantry.secret import Document
from tenantry.sources.session import own_secret
from tenantry.sources.vault_replies import answer, refuse
from tenantry.sources.vault_wrapping import WrappedSecretId

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tenantry.sources.base import SourceTools
    from tenantry.sources.vault_auth import (
        AppRole,
        Certificate,
        Jwt,
        Kubernetes,
        UserPass,
        VaultAuth,
    )

    Client = Callable[[str], Any]
    Way = Callable[[Any], Mapping[str, Any]]


class Login:
    """Logs in, and renews while that buys time; `fetch` is what the session's keeper calls.

    Args:
        way: logs in with an hvac client that has no token, and returns the `auth` of the reply.
        client: makes an hvac client for a token.
        alone: makes one without a token and with connections of its own, for as long as it is used.
    """

    def __init__(
        self, way: Way, client: Client, alone: Callable[[], AbstractContextManager[Any]]
    ) -> None:
        self._way = way
        self._client = client
        self._alone = alone
        # The token, and how long it lived when it was new; swapped whole.
        self._renewable: tuple[str, float] | None = None

    def fetch(self, *, forced: bool) -> Document:
        """Return the session as a document with the one field `token`."""
        if self._renewable is not None and not forced:
            renewed = self._renewed(*self._renewable)
            if renewed is not None:
                return renewed
        # An older connection would go on with the client certificate of its beginning.
        with refuse("it"), self._alone() as client:
            return self._session(self._way(client))

    def _renewed(self, token: str, life: float) -> Document | None:
        try:
            with refuse("it"):
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


def way_of(auth: VaultAuth, tools: SourceTools, client: Client) -> Way | None:
    """Return how the settings ask to log in; None where somebody else does."""
    if auth.agent is not None:
        return None
    if auth.approle is not None:
        return _approle(auth.approle, tools, client)
    if auth.kubernetes is not None:
        return _kubernetes(auth.kubernetes)
    if auth.jwt is not None:
        return _jwt(auth.jwt, tools)
    if auth.userpass is not None:
        return _userpass(auth.userpass, tools)
    return _token(_read(auth, tools), client) if auth.cert is None else _certificate(auth.cert)


def _approle(role: AppRole, tools: SourceTools, client: Client) -> Way:
    held = tools.credential_for(role.secret_id)
    wrapped = WrappedSecretId(role, held, client) if role.wrapped else None

    def login(client: Any) -> Mapping[str, Any]:
        reply = client.auth.approle.login(
            role_id=role.role_id,
            secret_id=own_secret(held) if wrapped is None else wrapped.secret_id(),
            mount_point=role.mount,
            use_token=False,
        )
        return _auth(reply)

    return login


def _kubernetes(role: Kubernetes) -> Way:
    def login(client: Any) -> Mapping[str, Any]:
        reply = client.auth.kubernetes.login(
            role=role.role, jwt=_text(role.token_file), use_token=False, mount_point=role.mount
        )
        return _auth(reply)

    return login


def _jwt(role: Jwt, tools: SourceTools) -> Way:
    read = _read(role, tools)

    def login(client: Any) -> Mapping[str, Any]:
        reply = client.auth.jwt.jwt_login(
            role=role.role, jwt=read(), use_token=False, path=role.mount
        )
        return _auth(reply)

    return login


def _userpass(user: UserPass, tools: SourceTools) -> Way:
    held = tools.credential_for(user.password)

    def login(client: Any) -> Mapping[str, Any]:
        reply = client.auth.userpass.login(
            username=quote(user.username, safe=""),
            password=own_secret(held),
            use_token=False,
            mount_point=user.mount,
        )
        return _auth(reply)

    return login


def _certificate(role: Certificate) -> Way:
    def login(client: Any) -> Mapping[str, Any]:
        _check(role)
        # Not hvac's method: it puts what `verify` says into the place of the CA.
        url = f"/v1/auth/{role.mount}/login"
        said = {} if role.name is None else {"name": role.name}
        return _auth(client.adapter.login(url, use_token=False, json=said))

    return login


def _check(role: Certificate) -> None:
    """Refuse files that TLS could not use, while it is still known whose fault it is."""
    try:
        # With a password, so that OpenSSL does not ask for one at the terminal.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_cert_chain(role.certificate, role.key, password="-")  # noqa: S106  # see above
    except OSError as error:
        what = "cannot be used" if isinstance(error, ssl.SSLError) else "cannot be read"
        reason = f"its client certificate {role.certificate} or its key {what}"
        hint = "both are PEM files, without a password"
        raise SourceError(reason, hint=hint) from None


def _token(read: Callable[[], str], client: Client) -> Way:
    def login(_: Any) -> Mapping[str, Any]:
        token = read()
        about = answer(client(token).auth.token.lookup_self())["data"]
        return {
            "client_token": token,
            "lease_duration": about["ttl"],
            "renewable": about["renewable"],
        }

    return login


def _read(said: VaultAuth | Jwt, tools: SourceTools) -> Callable[[], str]:
    """Return what reads the token that is named by file or by reference."""
    path, reference = said.token_file, said.token
    if path is not None:
        return lambda: _text(path)
    assert reference is not None  # noqa: S101  # the models demand exactly one
    held = tools.credential_for(reference)
    return lambda: own_secret(held)


def _auth(reply: Any) -> Mapping[str, Any]:
    auth: Mapping[str, Any] = answer(reply)["auth"]
    return auth


def _text(path: Path) -> str:
    try:
        return Document(path.read_text().strip()).secret(None, "token").reveal()
    except OSError as error:
        raise SourceError(f"its token file {path} cannot be read: {error.strerror}") from None
    except SourceError as error:
        raise SourceError(f"its token file {path}: {error.reason}") from None
