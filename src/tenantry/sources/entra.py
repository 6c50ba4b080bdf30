"""Tokens from Microsoft Entra ID, through azure-identity.

Every refresh uses a new credential object: azure-identity's own cache returns what it has until
five minutes before its end, and from then on each caller asks for itself and fails with the
issuer, although the token it has is still valid.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import Field

from tenantry.errors import Failure, SourceError
from tenantry.secret import Document
from tenantry.settings import (
    ReferenceOptions,
    Seconds,
    SecretReference,
    SourceSettings,
    TlsSettings,
)
from tenantry.settings.base import HttpUrl
from tenantry.sources.base import SourceKind
from tenantry.sources.entra_auth import AuthChoice, ManagedIdentity
from tenantry.sources.session import own_secret

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from tenantry.sources.base import SourceTools
    from tenantry.sources.entra_auth import (
        AzureCli,
        ClientCertificate,
        ClientSecret,
        WorkloadIdentity,
    )

PUBLIC_CLOUD = "https://login.microsoftonline.com"
SCOPE = "https://cognitiveservices.azure.com/.default"

_AADSTS = re.compile(r"AADSTS\d+")


class EntraSettings(SourceSettings):
    """How this process logs in to Entra ID."""

    auth: AuthChoice = Field(
        description="How to log in: exactly one way, by name or with settings."
    )
    authority: HttpUrl | None = Field(
        default=None, description="The token service; Azure's public cloud unless said otherwise."
    )
    tls: TlsSettings = Field(default=TlsSettings(), description="What connections trust.")
    timeout: Seconds = Field(
        default=10.0, description="How long a request may take; 10 seconds unless said otherwise."
    )

    def references(self) -> tuple[SecretReference, ...]:
        return self.auth.references()


class EntraReference(ReferenceOptions):
    """`{entra: {}}` or `{entra: {scope: SCOPE}}`: a token, for Azure OpenAI unless said."""

    main: ClassVar[str] = "scope"

    scope: str = Field(
        default=SCOPE, description="What the token is for; Azure OpenAI unless said otherwise."
    )


class AzureCredential(Protocol):
    """What this file uses of azure-identity's credentials."""

    def get_token_info(self, *scopes: str) -> Any: ...
    def close(self) -> None: ...


class EntraSource:
    """One way to log in to Entra ID."""

    def __init__(self, settings: EntraSettings, tools: SourceTools) -> None:
        self._settings = settings
        self._environ = tools.environ
        # At most one: a client secret, or the password of a certificate.
        self._secrets = [tools.credential_for(each) for each in settings.references()]

    def fetch(self, options: EntraReference, *, forced: bool) -> Document:
        del forced
        with _refuse(self._settings.auth.chosen):
            credential = self._credential()
            try:
                token = credential.get_token_info(options.scope)
            finally:
                credential.close()
        now = time.time()
        refresh_on = token.refresh_on
        return Document(
            token.token,
            lifetime=token.expires_on - now,
            refresh_in=None if refresh_on is None else max(0.0, refresh_on - now),
        )

    def close(self) -> None:
        """Nothing is held: every fetch closes what it opened."""

    def _credential(self) -> AzureCredential:
        auth = self._settings.auth
        if auth.client_secret is not None:
            return self._client_secret(auth.client_secret)
        if auth.certificate is not None:
            return self._certificate(auth.certificate)
        if auth.workload_identity is not None:
            return self._workload_identity(auth.workload_identity)
        if auth.cli is not None:
            return _cli(auth.cli)
        if auth.default is not None:
            return self._default()
        return self._managed_identity(auth.managed_identity or ManagedIdentity())

    def _client_secret(self, settings: ClientSecret) -> AzureCredential:
        from azure.identity import ClientSecretCredential

        [secret] = map(own_secret, self._secrets)
        return ClientSecretCredential(
            settings.directory_id, settings.client_id, secret, **self._authority()
        )

    def _certificate(self, settings: ClientCertificate) -> AzureCredential:
        from azure.identity import CertificateCredential

        file = settings.certificate
        password = next(map(own_secret, self._secrets), None)
        try:
            return CertificateCredential(
                settings.directory_id,
                settings.client_id,
                certificate_data=file.read_bytes(),
                password=password,
                **self._authority(),
            )
        except OSError as error:
            raise SourceError(f"certificate {file} cannot be read: {error.strerror}") from None
        except (TypeError, ValueError):  # cryptography's, for a missing and for a wrong password
            reason = f"certificate {file} cannot be used"
            hint = "it is PEM or PKCS 12 with its RSA key; check its `password` and directory_id"
            raise SourceError(reason, failure=Failure.DENIED, hint=hint) from None

    def _workload_identity(self, settings: WorkloadIdentity) -> AzureCredential:
        from azure.identity import ClientAssertionCredential

        directory = settings.directory_id or self._variable("AZURE_TENANT_ID", "directory_id")
        client = settings.client_id or self._variable("AZURE_CLIENT_ID", "client_id")
        file = settings.token_file or Path(
            self._variable("AZURE_FEDERATED_TOKEN_FILE", "token_file")
        )
        # Not WorkloadIdentityCredential: it reads its token file every 600 s only.
        return ClientAssertionCredential(
            directory, client, func=lambda: _read(file), **self._authority()
        )

    def _managed_identity(self, settings: ManagedIdentity) -> AzureCredential:
        from azure.identity import ManagedIdentityCredential

        return ManagedIdentityCredential(client_id=settings.client_id, **self._transport())

    def _default(self) -> AzureCredential:
        from azure.identity import DefaultAzureCredential

        return DefaultAzureCredential(
            exclude_interactive_browser_credential=True,
            process_timeout=self._settings.timeout,
            **self._authority(),
        )

    def _authority(self) -> Mapping[str, Any]:
        said = self._settings.authority or self._environ.get("AZURE_AUTHORITY_HOST")
        # Named in any case: azure-identity would look into the process's environment.
        return {
            **self._transport(),
            "authority": said or PUBLIC_CLOUD,
            "disable_instance_discovery": bool(said),
        }

    def _transport(self) -> Mapping[str, Any]:
        tls = self._settings.tls
        return {
            # Back-off is the keeper's business, and a fetch has a deadline.
            "retry_total": 0,
            "connection_timeout": self._settings.timeout,
            "read_timeout": self._settings.timeout,
            "connection_verify": str(tls.ca) if tls.ca is not None else tls.verify,
        }

    def _variable(self, name: str, key: str) -> str:
        value = self._environ.get(name)
        if not value:
            reason = f"variable {name} is not set"
            hint = f"run where workload identity is enabled, or say `{key}` in the configuration"
            raise SourceError(reason, failure=Failure.DENIED, hint=hint)
        return value


def _cli(settings: AzureCli) -> AzureCredential:
    from azure.identity import AzureCliCredential

    # Seconds may have a fraction, although they are annotated as whole ones.
    limit: Any = settings.process_timeout
    return AzureCliCredential(tenant_id=settings.directory_id or "", process_timeout=limit)


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError as error:
        raise SourceError(f"token file {file} cannot be read: {error.strerror}") from None


@contextmanager
def _refuse(way: str) -> Generator[None]:
    """Word azure-identity's failures.

    Their types do not tell: a dead network and a wrong secret are both `ClientAuthenticationError`
    from msal, and a gateway's page is a bare `JSONDecodeError` from a managed identity. So Entra's
    own `AADSTS` code decides, and without one the failure is taken to pass. Texts are not shown,
    they may quote an assertion.
    """
    from azure.core.exceptions import AzureError

    kind = way.replace("_", " ")
    try:
        yield
    except (AzureError, ValueError) as error:
        code = _code(error)
        if code is not None:
            reason = f"Entra ID refused the {kind} with {code}"
            hint = "check the directory, the client id and its secret or certificate"
            raise SourceError(reason, failure=_failure(code), hint=hint) from None
        hint = _HINTS.get(way, "check the network and the identity")
        raise SourceError(f"no token for the {kind}", hint=hint) from None


_HINTS = {
    "cli": "is `az` on the PATH, and logged in? try: az account get-access-token",
    "default": "say which way in the configuration, to learn what is wrong with it",
}


def _code(error: BaseException | None) -> str | None:
    """Find Entra's code; that of an unknown directory is in the context of the cause only."""
    while error is not None:
        if match := _AADSTS.search(str(error)):
            return match[0]
        error = error.__cause__ or error.__context__
    return None


# The service is busy or broken, not the login: AADSTS90033, 50196 and the like.
_PASSING = frozenset(
    {"AADSTS50196", "AADSTS90006", "AADSTS90012", "AADSTS90024", "AADSTS90033", "AADSTS90055"}
)


def _failure(code: str) -> Failure:
    return Failure.TRANSIENT if code in _PASSING else Failure.DENIED


KIND = SourceKind("entra", EntraReference, EntraSource, settings=EntraSettings)
