"""`EntraServer`: an authority, managed identities and a Key Vault that tests talk to for real."""

from __future__ import annotations

import tempfile
import threading
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from tenantry.testing.certificates import CertificateAuthority
from tenantry.testing.entra.authority import Authority
from tenantry.testing.entra.exchange import RequestLog
from tenantry.testing.entra.faults import Failure, Faults
from tenantry.testing.entra.key_vault import KeyVault
from tenantry.testing.entra.listener import Endpoint, Listener
from tenantry.testing.entra.managed_identity import (
    APP_SERVICE_PATH,
    IMDS_PATH,
    ManagedIdentities,
)
from tenantry.testing.entra.tokens import IssuedToken, TokenLedger

if TYPE_CHECKING:
    from tenantry.testing.entra.exchange import RecordedRequest, RequestKind
    from tenantry.testing.entra.tokens import IssueHook


@dataclass(frozen=True, slots=True)
class _Running:
    """What exists between start and stop; origins outlast an outage that closes the ports."""

    resources: ExitStack
    listeners: tuple[Listener, Listener]
    secure_origin: str
    plain_origin: str
    ca_file: Path


class EntraServer:
    """An Entra ID on two loopback ports, for as long as the `with` block lasts.

    https serves the authority and a Key Vault, with a CA of its own (`ca_file`); http serves the
    managed identities of IMDS and App Service. The real azure-identity talks to it given
    `authority=server.authority, disable_instance_discovery=True,
    connection_verify=str(server.ca_file)`.

    Controls may be called from any thread, before and while the server runs. What is registered
    and recorded lasts as long as the object, also over a restart, which gets other ports.
    """

    def __init__(self, *, directory_id: str | None = None) -> None:
        self.directory_id = directory_id or str(uuid.uuid4())
        """The directory of the vault, the managed identities, and apps that name no other."""
        lock = threading.RLock()
        self._log = RequestLog(lock)
        self._faults = Faults(lock)
        self._ledger = TokenLedger(lock)
        self._authority = Authority(self._ledger, lock, home=self.directory_id)
        self._identities = ManagedIdentities(self._ledger, lock, directory_id=self.directory_id)
        self._key_vault = KeyVault(self._ledger, lock, directory_id=self.directory_id)
        # Not the lock above: a listener that stops waits for handlers, which take that one.
        self._listening = threading.Lock()
        self._refusing = False
        self._running: _Running | None = None

    def __repr__(self) -> str:
        where = "stopped" if self._running is None else self._running.secure_origin
        return f"<EntraServer {where} issued={len(self.issued)} requests={len(self.requests)}>"

    # -- life -------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Listen on both ports; returns once requests are answered. Starting twice is an error."""
        if self._running is not None:
            message = f"the entra server is already running at {self.authority}"
            raise RuntimeError(message)
        with ExitStack() as resources:
            directory = resources.enter_context(tempfile.TemporaryDirectory(prefix="tenantry-"))
            certificates = CertificateAuthority(Path(directory), name="tenantry Entra test CA")
            secure = self._listener(self._secure_endpoints(), certificates)
            plain = self._listener(self._plain_endpoints())
            for listener in (secure, plain):
                resources.enter_context(listener)
            self._running = _Running(
                resources.pop_all(), (secure, plain), secure.url, plain.url, certificates.ca_file
            )
        return self

    def stop(self) -> None:
        """Close both ports and remove the CA's files; stopping twice is harmless."""
        with self._listening:
            running, self._running = self._running, None
            self._refusing = False
        if running is not None:
            running.resources.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    # -- where it is ------------------------------------------------------------------------------

    @property
    def authority(self) -> str:
        """What azure-identity takes as `authority=`: `https://127.0.0.1:PORT`."""
        return self._here().secure_origin

    @property
    def vault_url(self) -> str:
        """What `SecretClient` takes as `vault_url=`; it needs `verify_challenge_resource=False`."""
        return self._here().secure_origin

    @property
    def ca_file(self) -> Path:
        """What to pass as `connection_verify=`; removed when the server stops."""
        return self._here().ca_file

    @property
    def imds_host(self) -> str:
        """The value for AZURE_POD_IDENTITY_AUTHORITY_HOST."""
        return self._here().plain_origin

    @property
    def identity_endpoint(self) -> str:
        """The value for IDENTITY_ENDPOINT, App Service's managed identity."""
        return f"{self._here().plain_origin}{APP_SERVICE_PATH}"

    @property
    def identity_header(self) -> str:
        """The value for IDENTITY_HEADER, which proves that a request comes from the app."""
        return self._identities.identity_header

    def environment(self, host: Literal["app_service", "imds"] = "app_service") -> dict[str, str]:
        """Return the variables that make `ManagedIdentityCredential` find this server.

        azure-identity reads them when a credential is made and again at each token request.
        """
        if host == "imds":
            return {"AZURE_POD_IDENTITY_AUTHORITY_HOST": self.imds_host}
        return {
            "IDENTITY_ENDPOINT": self.identity_endpoint,
            "IDENTITY_HEADER": self.identity_header,
        }

    # -- who may have tokens ----------------------------------------------------------------------

    def register_app(
        self,
        client_id: str,
        *,
        directory_id: str | None = None,
        secret: str | None = None,
        certificate_file: Path | None = None,
        federated_token: str | None = None,
    ) -> None:
        """Make an application known, with whatever it may prove itself by.

        Registering a `client_id` again replaces the application. Its directory is known from now
        on; every other is answered AADSTS90002.

        Args:
            client_id: The application's id.
            directory_id: The server's own `directory_id` if left out.
            secret: The client secret; see `change_secret`.
            certificate_file: PEM, RSA; assertions have to be signed with its key.
            federated_token: The one assertion that workload identity may send, JWT or opaque.

        Raises:
            ValueError: The file holds no certificate, or one whose key is not RSA.
        """
        self._authority.register(
            client_id,
            directory_id=directory_id or self.directory_id,
            secret=secret,
            certificate_file=certificate_file,
            federated_token=federated_token,
        )

    def change_secret(self, client_id: str, new: str) -> None:
        """Make `new` the only valid secret; raises `KeyError` for an unknown application."""
        self._authority.change_secret(client_id, new)

    def managed_identity(self, client_id: str | None = None) -> str:
        """Give the host an identity: a user-assigned one by name, or its own, which gets an id.

        Returns:
            The identity's client id, as `IssuedToken.client_id` shows it.
        """
        return self._identities.assign(client_id)

    # -- tokens -----------------------------------------------------------------------------------

    @property
    def token_lifetime(self) -> int:
        """Seconds that the next tokens are valid for; 3600 unless set."""
        return self._ledger.lifetime

    @token_lifetime.setter
    def token_lifetime(self, seconds: int) -> None:
        self._ledger.lifetime = seconds

    @property
    def refresh_in(self) -> int | None:
        """Seconds after which the authority advises to refresh; not sent unless set.

        Managed identity has no such field: there msal itself takes half of two hours or more.
        """
        return self._ledger.refresh_in

    @refresh_in.setter
    def refresh_in(self, seconds: int | None) -> None:
        self._ledger.refresh_in = seconds

    @property
    def issued(self) -> tuple[IssuedToken, ...]:
        """Every token so far, oldest first."""
        return self._ledger.issued()

    @property
    def on_issue(self) -> list[IssueHook]:
        """Hooks called with each token before its client has it; append to it.

        They run on the server's thread. If one raises, the client gets a 500.
        """
        return self._ledger.hooks

    def accepts(self, token: str) -> bool:
        """Tell whether a bearer token is ours, neither expired nor revoked."""
        return self._ledger.accepted(token) is not None

    def revoke(self, token: str | IssuedToken) -> None:
        """End a token before its time; raises `KeyError` for one that was never issued."""
        self._ledger.revoke(token.value if isinstance(token, IssuedToken) else token)

    # -- secrets ----------------------------------------------------------------------------------

    def set_secret(self, name: str, value: str, *, expires_on: int | None = None) -> str:
        """Add a version to a Key Vault secret.

        Args:
            name: The secret's name.
            value: What the newest version holds from now on.
            expires_on: Unix seconds; told to clients, not enforced, as in Key Vault.

        Returns:
            The version, 32 hexadecimal digits.
        """
        return self._key_vault.set(name, value, expires_on=expires_on)

    def disable_secret(self, name: str, version: str | None = None) -> None:
        """Answer 403 for a version, the newest by default; raises `KeyError` where none is."""
        self._key_vault.enable(name, version, enabled=False)

    def enable_secret(self, name: str, version: str | None = None) -> None:
        """Undo `disable_secret`."""
        self._key_vault.enable(name, version, enabled=True)

    def delete_secret(self, name: str) -> None:
        """Answer 404 for a secret and all its versions; raises `KeyError` where there is none."""
        self._key_vault.delete(name)

    # -- faults -----------------------------------------------------------------------------------

    def fail_next(
        self,
        status: int,
        *,
        times: int = 1,
        retry_after: int | None = None,
        error: str | None = None,
        kind: RequestKind | None = None,
    ) -> None:
        """Answer the next requests with a failure; several plans are used up in their order.

        Args:
            status: The HTTP status.
            times: How many requests fail.
            retry_after: Seconds for a Retry-After header.
            error: What the body says in the service's own form, for the authority such as
                "AADSTS90033: A transient error has occurred."; without it an HTML page is sent,
                as by a gateway in front.
            kind: Only requests of this kind fail, and count. msal asks for "discovery" once
                per credential before it asks for a "token".
        """
        self._faults.fail_next(Failure(status, retry_after, error), times=times, kind=kind)

    def slow(
        self, seconds: float, times: int | None = None, *, kind: RequestKind | None = None
    ) -> None:
        """Hold back each reply for `seconds`: of the next `times` requests, or until `slow(0)`."""
        self._faults.slow(seconds, times=times, kind=kind)

    def outage(self, active: bool, *, refuse: bool = False) -> None:
        """Answer everything with 503, or refuse connections altogether; `outage(False)` ends it.

        After a refusing outage the server is where it was, on the same ports.
        """
        with self._listening:
            listeners = self._here().listeners
            self._faults.outage = active and not refuse
            self._refuse(listeners, refuse=active and refuse)

    # -- what was asked ---------------------------------------------------------------------------

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """Every request so far in the order of arrival, those of an outage included."""
        return self._log.snapshot()

    def count(self, kind: RequestKind) -> int:
        """Count the requests of one kind; raises `ValueError` if there is no such kind."""
        return self._log.count(kind)

    # -- inside -----------------------------------------------------------------------------------

    def _here(self) -> _Running:
        if self._running is None:
            message = "the entra server is not running: use it as a context manager or call start()"
            raise RuntimeError(message)
        return self._running

    def _refuse(self, listeners: tuple[Listener, Listener], *, refuse: bool) -> None:
        if refuse == self._refusing:
            return
        for listener in listeners:
            if refuse:
                listener.stop()
            else:
                listener.start()
        self._refusing = refuse

    def _listener(
        self, endpoints: tuple[Endpoint, ...], certificates: CertificateAuthority | None = None
    ) -> Listener:
        certificate = None if certificates is None else certificates.server()
        return Listener(endpoints, log=self._log, faults=self._faults, certificate=certificate)

    def _secure_endpoints(self) -> tuple[Endpoint, ...]:
        directory, metadata = "/{directory_id}", ".well-known/openid-configuration"
        failure = self._authority.failure
        discovery, token = self._authority.discovery, self._authority.token
        vault, vault_failure = self._key_vault.get, self._key_vault.failure
        return (
            Endpoint("GET", f"{directory}/v2.0/{metadata}", "discovery", discovery, failure),
            Endpoint("GET", f"{directory}/{metadata}", "discovery", discovery, failure),
            Endpoint("POST", f"{directory}/oauth2/v2.0/token", "token", token, failure),
            Endpoint("GET", "/secrets/{name}", "key_vault", vault, vault_failure),
            Endpoint("GET", "/secrets/{name}/{version:path}", "key_vault", vault, vault_failure),
        )

    def _plain_endpoints(self) -> tuple[Endpoint, ...]:
        hosts = self._identities
        return (
            Endpoint("GET", IMDS_PATH, "imds", hosts.imds, hosts.imds_failure),
            Endpoint(
                "GET", APP_SERVICE_PATH, "app_service", hosts.app_service, hosts.app_service_failure
            ),
        )
