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
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from tenantry.errors import CredentialUnavailableError, Failure, SourceError
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

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from tenantry.sources.base import SecretGetter, SourceTools

PUBLIC_CLOUD = "https://login.microsoftonline.com"
SCOPE = "https://cognitiveservices.azure.com/.default"

_AADSTS = re.compile(r"AADSTS\d+")


class ManagedIdentity(Model):
    """The identity of the machine, pod or App Service; `client_id` names a user-assigned one."""

    client_id: str | None = None


class ClientSecret(Model):
    """An application with a secret. `directory_id` is Azure's "tenant id"."""

    directory_id: str
    client_id: str
    client_secret: SecretReference


class WorkloadIdentity(Model):
    """A pod's federated token; what is left out is read from the `AZURE_*` variables."""

    directory_id: str | None = None
    client_id: str | None = None
    token_file: Path | None = None


class EntraAuth(Model):
    """How to log in: exactly one of these, by name alone or with its settings."""

    managed_identity: ManagedIdentity | None = None
    client_secret: ClientSecret | None = None
    workload_identity: WorkloadIdentity | None = None

    @model_validator(mode="after")
    def _one(self) -> EntraAuth:
        if len(self.model_fields_set) != 1:
            message = "is exactly one of managed_identity, client_secret, workload_identity"
            raise invalid(message)
        return self


def _by_name(value: object) -> object:
    return {value: {}} if isinstance(value, str) else value


AuthChoice: TypeAlias = Annotated[EntraAuth, BeforeValidator(_by_name)]


class EntraSettings(SourceSettings):
    """How this process logs in to Entra ID."""

    auth: AuthChoice
    authority: HttpUrl | None = Field(
        None, description="The token service; Azure's public cloud unless said otherwise."
    )
    tls: TlsSettings = TlsSettings()
    timeout: Seconds = 10.0

    def references(self) -> tuple[SecretReference, ...]:
        secret = self.auth.client_secret
        return () if secret is None else (secret.client_secret,)


class EntraReference(ReferenceOptions):
    """`{entra: {}}` or `{entra: {scope: SCOPE}}`: a token, for Azure OpenAI unless said."""

    main: ClassVar[str] = "scope"

    scope: str = SCOPE


class AzureCredential(Protocol):
    """What this file uses of azure-identity's credentials."""

    def get_token_info(self, *scopes: str) -> Any: ...
    def close(self) -> None: ...


class EntraSource:
    """One way to log in to Entra ID."""

    def __init__(self, settings: EntraSettings, tools: SourceTools) -> None:
        self._settings = settings
        self._environ = tools.environ
        secret = settings.auth.client_secret
        self._secret: SecretGetter | None = (
            None if secret is None else tools.credential_for(secret.client_secret)
        )

    def fetch(self, options: EntraReference, *, forced: bool) -> Document:
        del forced
        with _refuse(self._kind):
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

    @property
    def _kind(self) -> str:
        [chosen] = self._settings.auth.model_fields_set
        return chosen.replace("_", " ")

    def _credential(self) -> AzureCredential:
        auth = self._settings.auth
        if auth.client_secret is not None:
            return self._client_secret(auth.client_secret)
        if auth.workload_identity is not None:
            return self._workload_identity(auth.workload_identity)
        return self._managed_identity(auth.managed_identity or ManagedIdentity())

    def _client_secret(self, settings: ClientSecret) -> AzureCredential:
        from azure.identity import ClientSecretCredential

        assert self._secret is not None  # noqa: S101  # made from the same settings
        try:
            secret = self._secret.get().reveal()
        except CredentialUnavailableError as error:
            raise SourceError(str(error), retry_after=error.retry_after) from error
        return ClientSecretCredential(
            settings.directory_id, settings.client_id, secret, **self._authority()
        )

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


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError as error:
        raise SourceError(f"token file {file} cannot be read: {error.strerror}") from None


@contextmanager
def _refuse(kind: str) -> Generator[None]:
    """Word azure-identity's failures.

    Their types do not tell: a dead network and a wrong secret are both `ClientAuthenticationError`
    from msal, and a gateway's page is a bare `JSONDecodeError` from a managed identity. So Entra's
    own `AADSTS` code decides, and without one the failure is taken to pass. Texts are not shown,
    they may quote an assertion.
    """
    from azure.core.exceptions import AzureError

    try:
        yield
    except (AzureError, ValueError) as error:
        code = _code(error)
        if code is not None:
            reason = f"Entra ID refused the {kind} with {code}"
            hint = "check the directory, the client id and its secret"
            raise SourceError(reason, failure=_failure(code), hint=hint) from None
        reason, hint = f"no token for the {kind}", "check the network and the identity"
        raise SourceError(reason, hint=hint) from None


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
