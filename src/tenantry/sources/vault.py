"""Secrets from HashiCorp Vault (or OpenBao), through hvac.

What a real server answers is recorded in `tests/data/vault_golden.json`. Redirects are not
followed: hvac would send the token along to whatever host they name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import unquote

from pydantic import Field, field_validator, model_validator

from tenantry.errors import Failure, SourceError
from tenantry.forks import survives_fork
from tenantry.freshness import RefreshPolicy
from tenantry.secret import Document
from tenantry.settings import (
    Model,
    ReferenceOptions,
    Seconds,
    SecretReference,
    SourceSettings,
    TlsSettings,
    invalid,
)
from tenantry.settings.base import HttpUrl
from tenantry.sources.base import SourceKind
from tenantry.sources.vault_login import AUTH_METHODS, AppRole, Kubernetes, Login, login_for
from tenantry.sources.vault_replies import answer, refuse

if TYPE_CHECKING:
    import requests

    from tenantry.sources.base import SourceTools


class VaultAuth(Model):
    """How to log in: exactly one of these."""

    token: SecretReference | None = None
    token_file: str | None = None
    approle: AppRole | None = None
    kubernetes: Kubernetes | None = None

    @model_validator(mode="after")
    def _one(self) -> VaultAuth:
        if len(self.model_fields_set) != 1:
            message = "is exactly one of {methods}"
            raise invalid(message, methods=", ".join(AUTH_METHODS))
        return self


class VaultTimeout(Model):
    """Time limits of one request to Vault, in seconds."""

    connect: Seconds = 2.0
    read: Seconds = 5.0


class VaultSettings(SourceSettings):
    """How this process uses one Vault."""

    address: HttpUrl = Field(description="Vault's address, such as https://vault.example:8200.")
    auth: VaultAuth
    namespace: str | None = None
    mount: str = Field("secret", description="The secrets engine that references mean.")
    tls: TlsSettings = TlsSettings()
    timeout: VaultTimeout = VaultTimeout()

    def references(self) -> tuple[SecretReference, ...]:
        secret_id = None if self.auth.approle is None else self.auth.approle.secret_id
        found = (self.auth.token, secret_id)
        return tuple(reference for reference in found if reference is not None)


class VaultReference(ReferenceOptions):
    """`{vault: PATH}`: a document of a KV engine, or credentials that Vault mints."""

    main: ClassVar[str] = "path"

    path: str = Field(min_length=1)
    mount: str | None = None
    version: int | None = Field(None, ge=1, description="Pin one version of a KV 2 document.")
    engine: Literal["kv2", "kv1", "dynamic"] = "kv2"

    @field_validator("path", "mount")
    @classmethod
    def _straight(cls, value: str | None) -> str | None:
        # The HTTP library resolves them: "tenants/acme/../globex" would be another tenant's.
        if value is not None and {".", ".."} & set(unquote(value).split("/")):
            message = "has a `.` or `..` in it"
            raise invalid(message)
        return value

    def __str__(self) -> str:
        return self.path if self.mount is None else f"{self.mount}/{self.path}"


# How long a session that never expires is believed before Vault is asked about it again.
SESSION_POLICY = RefreshPolicy(every=3600.0, max_stale=86_400.0, overlap=0.0, wait=10.0)


class VaultSource:
    """One Vault and this process's session with it.

    The session is kept like any other credential: renewed ahead of time, replaced by a login
    when renewing buys no more time. A read that is forbidden logs in once and reads again before
    it is believed: an expired session and a policy's refusal are both 403.
    """

    def __init__(self, settings: VaultSettings, tools: SourceTools) -> None:
        self._settings = settings
        self._http = _session(settings)
        self._inherited: list[requests.Session] = []
        self._login: Login = login_for(settings.auth, tools, self._client)
        self._session = tools.keep("login", SESSION_POLICY, self._login.fetch)
        survives_fork(self)

    def after_fork(self) -> None:
        """Open own sockets: on the parent's, two processes would read each other's replies."""
        # Kept, not closed: what its locks guard may have been in the middle of a change.
        self._inherited.append(self._http)
        self._http = _session(self._settings)

    def fetch(self, options: VaultReference, *, forced: bool) -> Document:
        del forced
        held = self._session_document()
        token = held.secret("token", "")
        try:
            return self._read(token.reveal(), options)
        except SourceError as error:
            if error.failure is not Failure.DENIED:
                raise
            fresh = self._session.better(token, lambda it: it.document.secret("token", ""))
            if fresh is None:
                raise
            return self._read(fresh.reveal(), options)

    def close(self) -> None:
        self._http.close()

    def _session_document(self) -> Document:
        from tenantry.keeper import Unavailable

        try:
            return self._session.current().document
        except Unavailable as unavailable:
            cause = unavailable.cause
            raise SourceError(
                f"cannot log in to Vault at {self._settings.address}: {cause.reason}",
                failure=cause.failure,
                hint=cause.hint,
                retry_after=unavailable.retry_after,
            ) from cause

    def _client(self, token: str) -> Any:
        """Return an hvac client for one token; clients are never given another one."""
        import hvac

        make: Any = hvac.Client  # its annotations know less than it takes
        return make(
            url=self._settings.address,
            token=token,
            cert="",  # None reads VAULT_CLIENT_CERT
            namespace=self._settings.namespace,
            verify=self._http.verify,
            timeout=(self._settings.timeout.connect, self._settings.timeout.read),
            allow_redirects=False,
            session=self._http,
        )

    def _read(self, token: str, options: VaultReference) -> Document:
        client = self._client(token)
        mount = options.mount or self._settings.mount
        where = f"{mount}/{options.path}"
        with refuse(f"Vault at {self._settings.address}", where):
            if options.engine == "kv2":
                return _kv2(client, mount, options)
            if options.engine == "kv1":
                reply = client.secrets.kv.v1.read_secret(options.path, mount_point=mount)
                return Document(answer(reply)["data"])
            return self._minted(answer(client.read(where)))

    def _minted(self, reply: Any) -> Document:
        """Credentials die with their lease, and their lease with the session."""
        life = float(reply["lease_duration"])
        session = self._session.held
        if session is not None:
            life = min(life, session.limits.hard - self._session.clock())
        return Document(reply["data"], version=reply["lease_id"], lifetime=life)


def _kv2(client: Any, mount: str, options: VaultReference) -> Document:
    reply = client.secrets.kv.v2.read_secret_version(
        options.path, version=options.version, mount_point=mount, raise_on_deleted_version=True
    )
    data = answer(reply)["data"]
    return Document(data["data"], version=str(data["metadata"]["version"]))


def _session(settings: VaultSettings) -> requests.Session:
    """Return a session that no variable, `.netrc` or redirect can lead elsewhere."""
    import requests

    from tenantry.sources.vault_replies import check

    session = requests.Session()
    session.trust_env = False
    session.verify = str(settings.tls.ca) if settings.tls.ca is not None else settings.tls.verify
    session.hooks["response"] = [check]
    return session


KIND = SourceKind("vault", VaultReference, VaultSource, settings=VaultSettings)
