"""Secrets from Google Secret Manager, by its REST interface and google-auth's logins."""

from __future__ import annotations

import base64
import re
import threading
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from tenantry.errors import Failure, MissingExtraError, SourceError
from tenantry.forks import survives_fork
from tenantry.secret import Document
from tenantry.settings import ReferenceOptions, Seconds, SourceSettings
from tenantry.settings.base import HttpUrl
from tenantry.sources.base import SourceKind, SourceTools

_SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
_CODE = re.compile(r"\b(?:invalid|unauthorized|access)_[a-z]{1,32}\b")
# 400 is a version that is disabled or destroyed.
_FAILURES = dict.fromkeys((400, 401, 403), Failure.DENIED) | {404: Failure.ABSENT}
_PASSED = frozenset({200, *_FAILURES})  # by which google-auth goes itself


class GcpSecretsSettings(SourceSettings):
    """One project's secrets, for a service account or the application default credentials."""

    project: str = Field(
        pattern=r"^[0-9A-Za-z][0-9A-Za-z.:-]*$",
        description="The project's id, letters, digits and .:- only.",
    )
    endpoint: HttpUrl = Field(
        default="https://secretmanager.googleapis.com",
        description="The service's address; Google's public one unless said.",
    )
    credentials_file: Path | None = Field(
        default=None,
        description="A service account's key, JSON; the application's default login unless said.",
    )
    timeout: Seconds = Field(
        default=10.0, description="How long a request may take; 10 seconds unless said otherwise."
    )


class GcpSecretsReference(ReferenceOptions):
    """`{gcp_secrets: NAME}`: a secret of the project, its latest version unless one is named."""

    main: ClassVar[str] = "name"

    name: str = Field(
        pattern=r"^[0-9A-Za-z_-]{1,255}$",
        description="The secret's name, 1 to 255 letters, digits and _-.",
    )
    version: str = Field(
        default="latest",
        pattern=r"^[0-9A-Za-z_-]{1,63}$",
        coerce_numbers_to_str=True,
        description="A version's number or alias; latest unless said otherwise.",
    )


class GcpSecretsSource:
    """One login to Google: made when first needed, and anew where it is refused."""

    def __init__(self, settings: GcpSecretsSettings, tools: SourceTools) -> None:
        del tools  # google-auth looks at the environment of the process
        self._settings = settings
        self._auth, self._transport, self._account = _google()
        self._inherited: list[Any] = []
        self._http: Any = None
        self._opening = threading.Lock()
        survives_fork(self)

    def after_fork(self) -> None:
        """Open own sockets; the parent's are kept, as a lock of theirs may be held for ever."""
        self._inherited.append(self._http)
        self._http, self._opening = None, threading.Lock()

    def fetch(self, options: GcpSecretsReference, *, forced: bool) -> Document:
        del forced
        name = f"projects/{self._settings.project}/secrets/{options.name}"
        url = f"{self._settings.endpoint.rstrip('/')}/v1/{name}/versions/{options.version}:access"
        errors = self._auth.exceptions
        refused = (errors.RefreshError, errors.DefaultCredentialsError, UnicodeDecodeError)
        try:
            with self._opening:
                self._http = http = self._http or self._opened()
            _check(reply := http.get(url, timeout=self._settings.timeout), passed=frozenset({200}))
            body = reply.json()
            text = base64.b64decode(body["payload"]["data"], validate=True).decode()
            return Document(text, version=body["name"].rpartition("/")[2])
        except (errors.GoogleAuthError, OSError, ValueError, LookupError, TypeError) as error:
            denied = isinstance(error, refused) and not getattr(error, "retryable", False)
            self._http = None if denied else self._http  # a new one reads the key file again
            said = " ".join([name + ":", type(error).__name__, *_CODE.findall(str(error))[:1]])
            failure = Failure.DENIED if denied else Failure.TRANSIENT
            raise SourceError(said, failure=failure, hint="check login and content") from None

    def close(self) -> None:
        if self._http is not None:
            self._http.close()

    def _opened(self) -> Any:
        login, file = self._transport.Request(), self._settings.credentials_file
        login.session.trust_env, login.session.hooks["response"] = False, [_check]
        if file is None:
            credentials, _ = self._auth.default(_SCOPES, login)
        else:
            credentials = self._account.from_service_account_file(file, scopes=_SCOPES)
        http = self._transport.AuthorizedSession(credentials, auth_request=login)
        http.trust_env, http.hooks["response"] = False, [_check]
        return http


def _google() -> tuple[Any, Any, Any]:
    try:
        from google import auth
        from google.auth.transport import requests
        from google.oauth2 import service_account
    except ImportError as missing:
        raise MissingExtraError("gcp", needed_for="Google's secrets") from missing
    return auth, requests, service_account.Credentials


def _check(reply: Any, passed: frozenset[int] = _PASSED, **_: Any) -> None:
    """Follow no redirect, and repeat nothing: a SourceError ends google-auth's own attempts."""
    status, wait = reply.status_code, reply.headers.get("Retry-After", "")
    if status in passed:
        return
    code = re.search(r'"status":\s*"([A-Z_]{1,64})"', reply.text)
    said = f"{reply.url.partition('?')[0]}: {code[1] if code else 'refused'} (status {status})"
    after = float(wait) if wait.isdigit() else None
    raise SourceError(said, failure=_FAILURES.get(status, Failure.TRANSIENT), retry_after=after)


KIND = SourceKind("gcp_secrets", GcpSecretsReference, GcpSecretsSource, settings=GcpSecretsSettings)
