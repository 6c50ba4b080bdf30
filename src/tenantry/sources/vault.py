"""Secrets from HashiCorp Vault (or OpenBao), through hvac.

What a real server answers is recorded in `tests/data/vault_golden.json`. Redirects are not
followed: hvac would send the token along to whatever host they name.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self
from urllib.parse import unquote

from pydantic import Field, field_validator, model_validator

from tenantry.errors import SourceError
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
from tenantry.sources.session import Session, token
from tenantry.sources.vault_auth import VaultAuth
from tenantry.sources.vault_login import Login, way_of
from tenantry.sources.vault_replies import answer, refuse

if TYPE_CHECKING:
    from collections.abc import Generator

    import requests

    from tenantry.holding import Held
    from tenantry.sources.base import SourceTools


class VaultTimeout(Model):
    """Time limits of one request to Vault, in seconds."""

    connect: Seconds = Field(
        default=2.0, description="How long connecting may take; 2 seconds unless said otherwise."
    )
    read: Seconds = Field(
        default=5.0, description="How long to wait for an answer; 5 seconds unless said otherwise."
    )


class VaultSettings(SourceSettings):
    """How this process uses one Vault."""

    address: HttpUrl = Field(description="Vault's address, such as https://vault.example:8200.")
    auth: VaultAuth = Field(description="How to log in: exactly one way.")
    namespace: str | None = Field(
        default=None, description="The namespace that everything is in; none unless said."
    )
    mount: str = Field(
        default="secret",
        description="The secrets engine that references mean; secret unless said otherwise.",
    )
    tls: TlsSettings = Field(
        default=TlsSettings(),
        description="What connections trust, and the client's own certificate.",
    )
    timeout: VaultTimeout = Field(
        default=VaultTimeout(), description="Time limits of one request to Vault."
    )

    def references(self) -> tuple[SecretReference, ...]:
        return self.auth.references()


class VaultReference(ReferenceOptions):
    """`{vault: PATH}`: a document of a KV engine, or credentials that Vault mints."""

    main: ClassVar[str] = "path"

    path: str = Field(min_length=1, description="The document's path below the mount.")
    mount: str | None = Field(
        default=None, description="The secrets engine; the source's unless said."
    )
    version: int | None = Field(
        default=None,
        ge=1,
        description="Pin one version of a KV 2 document; the latest unless said.",
    )
    engine: Literal["kv2", "kv1", "dynamic"] = Field(
        default="kv2",
        description="What the mount is: KV 2, KV 1, or an engine that mints credentials (dynamic);"
        " kv2 unless said otherwise.",
    )

    @field_validator("path", "mount")
    @classmethod
    def _straight(cls, value: str | None) -> str | None:
        # The HTTP library resolves them: "tenants/acme/../globex" would be another tenant's.
        if value is not None and {".", ".."} & set(unquote(value).split("/")):
            message = "has a `.` or `..` in it"
            raise invalid(message)
        return value

    @model_validator(mode="after")
    def _has_versions(self) -> Self:
        if self.version is not None and self.engine != "kv2":
            message = "names a version, and engine {engine} has none"
            raise invalid(message, engine=self.engine, hint="leave `version` out")
        return self

    def __str__(self) -> str:
        return self.path if self.mount is None else f"{self.mount}/{self.path}"


MINTS = 2  # dynamic credentials at once: a start of many tenants must not be a storm
MINT_WAIT = 30.0  # seconds; whoever waits longer is told so, before the flight is given up

# How long a session that never expires is believed before Vault is asked about it again.
SESSION_POLICY = RefreshPolicy(every=3600.0, max_stale=86_400.0, overlap=0.0, wait=10.0)


class VaultSource:
    """One Vault and this process's session with it, if it is not an agent's.

    The session is kept like any other credential: renewed ahead of time, replaced by a login
    when renewing buys no more time.
    """

    def __init__(self, settings: VaultSettings, tools: SourceTools) -> None:
        self._settings = settings
        self._who = f"Vault at {settings.address}"
        self._inherited: list[requests.Session] = []
        self._open()
        way = way_of(settings.auth, tools, self._client)
        self._session: Session | None = None
        if way is not None:
            login = Login(way, self._client, self._alone)
            self._session = Session(tools, self._who, SESSION_POLICY, login.fetch)
        survives_fork(self)

    def after_fork(self) -> None:
        """Open own sockets: on the parent's, two processes would read each other's replies."""
        # Kept, not closed: what its locks guard may have been in the middle of a change.
        self._inherited.append(self._http)
        self._open()

    def fetch(self, options: VaultReference, *, forced: bool) -> Document:
        del forced
        if self._session is None:
            return self._read(None, options)
        return self._session.read_with(lambda held: self._read(held, options))

    def close(self) -> None:
        self._http.close()

    def _open(self) -> None:
        self._http = _connections(self._settings)
        self._minting = threading.BoundedSemaphore(MINTS)

    def _client(self, token: str) -> Any:
        return _client(self._settings, token, self._http)

    @contextmanager
    def _alone(self) -> Generator[Any]:
        with _connections(self._settings) as http:
            yield _client(self._settings, "", http)

    def _read(self, held: Held | None, options: VaultReference) -> Document:
        client = self._client("" if held is None else token(held).reveal())
        mount = options.mount or self._settings.mount
        where = f"{mount}/{options.path}"
        with refuse(self._who, where):
            if options.engine == "kv2":
                return _kv2(client, mount, options)
            if options.engine == "kv1":
                reply = client.secrets.kv.v1.read_secret(options.path, mount_point=mount)
                return Document(answer(reply)["data"])
            return self._minted(client, where, held)

    def _minted(self, client: Any, where: str, held: Held | None) -> Document:
        """Mint a credential, few at a time; it dies with its lease, and that with its session."""
        minting = self._minting
        if not minting.acquire(timeout=MINT_WAIT):
            raise SourceError(f"{MINTS} others are being minted, and none was done in time")
        try:
            reply = answer(client.read(where))
        finally:
            minting.release()
        life = float(reply["lease_duration"])
        if held is not None and self._session is not None:
            life = min(life, held.limits.hard - self._session.keeper.clock())
        return Document(reply["data"], version=reply["lease_id"], lifetime=life)


def _kv2(client: Any, mount: str, options: VaultReference) -> Document:
    reply = client.secrets.kv.v2.read_secret_version(
        options.path, version=options.version, mount_point=mount, raise_on_deleted_version=True
    )
    data = answer(reply)["data"]
    return Document(data["data"], version=str(data["metadata"]["version"]))


def _connections(settings: VaultSettings) -> requests.Session:
    """Return a session of HTTP that no variable, `.netrc` or redirect can lead elsewhere."""
    import requests

    from tenantry.sources.vault_replies import check

    http = requests.Session()
    http.trust_env = False
    http.verify = str(settings.tls.ca) if settings.tls.ca is not None else settings.tls.verify
    http.hooks["response"] = [check]
    if settings.auth.cert is not None:
        http.cert = settings.auth.cert.files
    return http


def _client(settings: VaultSettings, token: str, http: requests.Session) -> Any:
    """Return an hvac client for one token; clients are never given another one."""
    import hvac

    make: Any = hvac.Client  # its annotations know less than it takes
    return make(
        url=settings.address,
        token=token,
        cert="",  # None reads VAULT_CLIENT_CERT
        namespace=settings.namespace,
        verify=http.verify,
        timeout=(settings.timeout.connect, settings.timeout.read),
        allow_redirects=False,
        session=http,
    )


KIND = SourceKind("vault", VaultReference, VaultSource, settings=VaultSettings)
