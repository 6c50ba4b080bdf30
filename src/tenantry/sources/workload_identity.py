"""OpenAI's own workload identity: a token of your platform is exchanged for one of OpenAI's.

The exchange is the SDK's. It is held once per tenant here, because every clone of an SDK client
drops its token and exchanges again.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tenantry.errors import CredentialUnavailableError, Failure, SourceError
from tenantry.forks import survives_fork
from tenantry.secret import Document
from tenantry.settings import ReferenceOptions, SecretReference
from tenantry.sources.base import SourceKind

if TYPE_CHECKING:
    from openai.auth import WorkloadIdentityAuth

    from tenantry.sources.base import SecretGetter, SourceTools


class WorkloadIdentityReference(ReferenceOptions):
    """What a tenant's `workload_identity` says; the registry makes one of it."""

    main: ClassVar[str] = "service_account_id"

    identity_provider_id: str
    service_account_id: str
    subject_token: SecretReference
    token_type: Literal["jwt", "id"] = "jwt"  # noqa: S105  # a kind of token
    token_exchange_url: str | None = None
    client_id: str | None = None

    def nested(self) -> tuple[SecretReference, ...]:
        return (self.subject_token,)


class WorkloadIdentitySource:
    """Exchanges subject tokens, one `WorkloadIdentityAuth` of the SDK per identity."""

    def __init__(self, settings: None, tools: SourceTools) -> None:
        del settings
        self._credential_for = tools.credential_for
        self.after_fork()
        survives_fork(self)

    def after_fork(self) -> None:
        """Forget the SDK's objects: one that was exchanging would wait for the parent's thread."""
        self._lock = threading.Lock()  # guards _held
        self._held: dict[WorkloadIdentityReference, WorkloadIdentityAuth] = {}

    def fetch(self, options: WorkloadIdentityReference, *, forced: bool) -> Document:
        with self._lock:
            if options not in self._held:
                self._held[options] = self._auth(options)
            auth = self._held[options]
        if forced:
            auth.invalidate_token()
        try:
            return Document(auth.get_token(), lifetime=_lifetime(auth))
        except CredentialUnavailableError as error:
            raise SourceError(str(error), retry_after=error.retry_after) from error
        except Exception as error:  # noqa: BLE001  # network errors of the SDK's http library too
            status = getattr(getattr(error, "response", None), "status_code", None)
            denied = status is not None and status in _DENIED
            raise SourceError(
                f"the token exchange failed with {type(error).__name__}",
                failure=Failure.DENIED if denied else Failure.TRANSIENT,
                hint="check identity_provider_id, service_account_id and the subject token",
            ) from None

    def close(self) -> None:
        """Nothing is held open."""

    def _auth(self, options: WorkloadIdentityReference) -> WorkloadIdentityAuth:
        from openai.auth import WorkloadIdentity, WorkloadIdentityAuth

        if "client_id" in WorkloadIdentity.__required_keys__ and options.client_id is None:
            reason = "the installed SDK demands a `client_id` in workload_identity"
            hint = "say it, or pip install --upgrade openai"
            raise SourceError(reason, failure=Failure.DENIED, hint=hint)
        subject: SecretGetter = self._credential_for(options.subject_token)
        identity: Any = {
            "identity_provider_id": options.identity_provider_id,
            "service_account_id": options.service_account_id,
            "provider": {
                "token_type": options.token_type,
                "get_token": lambda: subject.get().reveal(),
            },
        }
        if options.client_id is not None:
            identity["client_id"] = options.client_id
        url = options.token_exchange_url
        where: dict[str, Any] = {} if url is None else {"token_exchange_url": url}
        return WorkloadIdentityAuth(workload_identity=identity, **where)


def _lifetime(auth: WorkloadIdentityAuth) -> float | None:
    # The SDK knows, and has no public name for it.
    end: float | None = getattr(auth, "_cached_token_expires_at_monotonic", None)
    return None if end is None else end - time.monotonic()


_DENIED = frozenset({400, 401, 403})

KIND = SourceKind("workload_identity", WorkloadIdentityReference, WorkloadIdentitySource)
