"""A secret id that arrives response-wrapped: it is shown once, and only to whoever comes first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tenantry.errors import Failure, SourceError
from tenantry.secret import Document
from tenantry.sources.session import own_secret
from tenantry.sources.vault_replies import answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.sources.base import SecretGetter
    from tenantry.sources.vault_auth import AppRole


class WrappedSecretId:
    """Unwraps once per wrapping token, and holds the secret id for later logins."""

    def __init__(self, role: AppRole, token: SecretGetter, client: Callable[[str], Any]) -> None:
        self._role = role
        self._token = token
        self._client = client
        # A wrapping token and what it unwrapped to; swapped whole.
        self._unwrapped: tuple[str, str] | None = None

    def secret_id(self) -> str:
        """Return the secret id.

        Raises:
            SourceError: where the wrapping token cannot be had, was used or was made elsewhere.
        """
        token = own_secret(self._token)
        held = self._unwrapped
        if held is None or held[0] != token:
            held = self._unwrapped = (token, self._unwrap(token))
        return held[1]

    def _unwrap(self, token: str) -> str:
        try:
            self._check(token)
            reply = answer(self._client(token).sys.unwrap())
        except SourceError as error:
            if error.failure is not Failure.DENIED or error.hint == _ELSEWHERE:
                raise
            reason = "the wrapping token of its secret_id is not valid any more"
            raise SourceError(reason, failure=Failure.DENIED, hint=_USED) from None
        return Document(reply["data"]).secret("secret_id", "secret_id").reveal()

    def _check(self, token: str) -> None:
        """Refuse what was wrapped elsewhere: whoever unwraps one can wrap a value of their own."""
        client = self._client("")
        reply = answer(client.write_data("sys/wrapping/lookup", data={"token": token}))
        path = str(reply["data"]["creation_path"])
        if not self._place(client.adapter.namespace or "").fullmatch(path):
            reason = f"its wrapped secret_id was made at {path!r}, not by its role"
            raise SourceError(reason, failure=Failure.DENIED, hint=_ELSEWHERE)

    def _place(self, namespace: str) -> re.Pattern[str]:
        role = self._role
        within = f"(?:{re.escape(namespace.strip('/'))}/)?" if namespace else ""
        name = "[^/]+" if role.role_name is None else re.escape(role.role_name)
        return re.compile(f"{within}auth/{re.escape(role.mount.strip('/'))}/role/{name}/secret-id")


_USED = (
    "it has expired, or somebody else may have unwrapped it: find out who, and issue another one"
)
_ELSEWHERE = "somebody may have exchanged it: find out who, check `mount` and issue another one"
