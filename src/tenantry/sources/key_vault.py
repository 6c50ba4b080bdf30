"""Secrets from Azure Key Vault, by its REST interface and an Entra ID login.

`GET {vault}/secrets/{name}[/{version}]`, api-version 7.4. Asked directly, because the one call does
not need the client library that azure-identity does not bring along.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from pydantic import Field

from tenantry.errors import Failure, SourceError
from tenantry.forks import survives_fork
from tenantry.freshness import RefreshPolicy
from tenantry.secret import Document
from tenantry.settings import ReferenceOptions
from tenantry.settings.base import HttpUrl
from tenantry.sources.base import SourceKind
from tenantry.sources.entra import EntraReference, EntraSettings, EntraSource
from tenantry.sources.session import Session, token

if TYPE_CHECKING:
    import requests

    from tenantry.sources.base import SourceTools

API_VERSION = "7.4"
_TOKEN_POLICY = RefreshPolicy(overlap=0.0, wait=10.0)
_FAILURES = {401: Failure.DENIED, 403: Failure.DENIED, 404: Failure.ABSENT}
_CODE = re.compile(r"[A-Za-z]{1,64}")


class KeyVaultSettings(EntraSettings):
    """One Key Vault, and how to log in to Entra ID for it."""

    vault_url: HttpUrl = Field(
        description="The vault's address, such as https://contoso.vault.azure.net."
    )
    scope: str = Field(
        default="https://vault.azure.net/.default",
        description="What the token is for; the public cloud's Key Vault unless said otherwise.",
    )


class KeyVaultReference(ReferenceOptions):
    """`{key_vault: NAME}`: a secret of the vault, its latest version unless `version` names one."""

    main: ClassVar[str] = "name"

    name: str = Field(
        pattern=r"^[0-9A-Za-z-]{1,127}$",
        description="The secret's name, 1 to 127 letters, digits and -.",
    )
    version: str | None = Field(
        default=None, description="Pin one version, by its id; the latest unless said."
    )


class KeyVaultSource:
    """One Key Vault and this process's token for it."""

    def __init__(self, settings: KeyVaultSettings, tools: SourceTools) -> None:
        self._settings = settings
        self._http = _connections(settings)
        self._inherited: list[requests.Session] = []
        self._entra = EntraSource(settings, tools)
        self._session = Session(tools, settings.vault_url, _TOKEN_POLICY, self._login)
        survives_fork(self)

    def after_fork(self) -> None:
        """Open own sockets: on the parent's, two processes would read each other's replies."""
        # Kept, not closed: what its locks guard may have been in the middle of a change.
        self._inherited.append(self._http)
        self._http = _connections(self._settings)

    def fetch(self, options: KeyVaultReference, *, forced: bool) -> Document:
        del forced
        return self._session.read_with(lambda held: self._read(token(held).reveal(), options))

    def close(self) -> None:
        self._http.close()

    def _login(self, *, forced: bool) -> Document:
        return self._entra.fetch(EntraReference(scope=self._settings.scope), forced=forced)

    def _read(self, bearer: str, options: KeyVaultReference) -> Document:
        import requests

        where = f"{self._settings.vault_url.rstrip('/')}/secrets/{options.name}"
        url = where + (f"/{quote(options.version, safe='')}" if options.version else "")
        try:
            response = self._http.get(
                url,
                params={"api-version": API_VERSION},
                headers={"Authorization": f"Bearer {bearer}"},
                timeout=self._settings.timeout,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            reason = f"{where} cannot be reached ({type(error).__name__})"
            raise SourceError(reason, hint="check vault_url and the network") from None
        if response.status_code != requests.codes.ok:
            raise _refusal(where, response)
        return _document(where, response)


def _connections(settings: KeyVaultSettings) -> requests.Session:
    import requests

    http = requests.Session()
    http.trust_env = False
    http.verify = str(settings.tls.ca) if settings.tls.ca is not None else settings.tls.verify
    return http


def _document(where: str, response: requests.Response) -> Document:
    try:
        body: Any = response.json()
        value, identifier = str(body["value"]), str(body["id"])
    except (ValueError, KeyError, TypeError):
        raise SourceError(f"{where}: the reply is no secret") from None
    # Its `exp` is for information only: Key Vault goes on giving the value out after it.
    return Document(value, version=identifier.rpartition("/")[2])


def _refusal(where: str, response: requests.Response) -> SourceError:
    status = response.status_code
    retry_after = response.headers.get("Retry-After", "")
    return SourceError(
        f"{where}: {_code(response)} (status {status})",
        failure=_FAILURES.get(status, Failure.TRANSIENT),
        hint="check the name, and the identity's access" if status in _FAILURES else "",
        retry_after=float(retry_after) if retry_after.isdigit() else None,
    )


def _code(response: requests.Response) -> str:
    """Return Key Vault's own code, such as SecretNotFound; its message may say more than that."""
    try:
        code = str(response.json()["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return "refused"
    return code if _CODE.fullmatch(code) else "refused"


KIND = SourceKind("key_vault", KeyVaultReference, KeyVaultSource, settings=KeyVaultSettings)
