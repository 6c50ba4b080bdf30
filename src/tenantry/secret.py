"""A value that never prints itself, and the document that it was read from."""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn, Self, SupportsIndex, final

from tenantry.errors import Failure, SourceError

REDACTED: Final = "**********"
_FINGERPRINT_KEY: Final = secrets.token_bytes(32)
MAX_LENGTH: Final = 16_384  # characters; what servers accept as one header
MAX_PEM_LENGTH = 65_536  # of a certificate with its chain, or a key
PEM_SETTINGS = frozenset({"certificate", "key"})  # of `tls`; everything else is sent as a header

_PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


def _fingerprint(text: str) -> str:
    return hmac.digest(_FINGERPRINT_KEY, text.encode(), "sha256").hex()[:12]


@final
class Secret:
    """One secret value and which version of it this is; immutable, compared by value.

    Only `reveal()` gives the value. It is not pickled, formatted or printed by accident.
    """

    __slots__ = ("_value", "version")

    def __init__(self, value: str, version: str = "") -> None:
        self._value = value
        self.version = version

    def reveal(self) -> str:
        """Return the value, for the one place that puts it on the wire."""
        return self._value

    @property
    def fingerprint(self) -> str:
        """Twelve digits that tell this value from others, in this process and its children only.

        A keyed hash: it says nothing of the value to who sees it in a log.
        """
        return _fingerprint(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        version = f" version={self.version}" if self.version else ""
        return f"<Secret {REDACTED}{version}>"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise _not_pickled(self)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


@final
class Document:
    """What a source delivered at once: a text, or values by field. Its fields rotate together.

    Args:
        content: a text, or a mapping of field to value.
        version: the source's own word for which version this is; empty where it has none.
        lifetime: seconds until it expires, counted from its delivery; None where it does not say.
        refresh_in: seconds after which the source wants to be asked again, if it says so.
    """

    __slots__ = ("_content", "lifetime", "refresh_in", "version")

    def __init__(
        self,
        content: str | Mapping[str, Any],
        *,
        version: str = "",
        lifetime: float | None = None,
        refresh_in: float | None = None,
    ) -> None:
        # A copy: what a function returns may be its own, and change under those who compare.
        self._content = content if isinstance(content, str) else dict(content)
        self.version = version
        self.lifetime = lifetime
        self.refresh_in = refresh_in

    def __repr__(self) -> str:
        return f"<Document {REDACTED} version={self.version or '-'}>"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise _not_pickled(self)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    @property
    def fingerprint(self) -> str:
        """What tells this document from others; see `Secret.fingerprint`."""
        return _fingerprint(repr(self._content))

    def same_content(self, other: Document) -> bool:
        return self._content == other._content

    def check_against(self, other: Document, wanted: Iterable[tuple[str | None, str]]) -> None:
        """Refuse to follow `other`, which has what is wanted, where this one lacks it.

        Args:
            other: the document that serves.
            wanted: fields and settings, as `secret` takes them.

        Raises:
            SourceError: naming the first secret that is missing.
        """
        for field, setting in wanted:
            try:
                other.secret(field, setting)
            except SourceError:
                continue
            self.secret(field, setting)

    def secret(self, field: str | None, setting: str) -> Secret:
        """Return one secret of the document.

        Args:
            field: the field that the reference names; None takes the one called `setting`, else
                the only one. A plain text has no fields and is the secret itself.
            setting: the configuration key that the secret is for.

        Raises:
            SourceError: where there is no such field, or what it holds cannot be a secret.
        """
        checked = _pem if setting in PEM_SETTINGS else _sendable
        return Secret(checked(self._value(field, setting)), self.version)

    def _value(self, field: str | None, setting: str) -> object:
        fields = self._fields(needed=field is not None)
        if fields is None:
            return self._content
        if field is None:
            field = setting if setting in fields or len(fields) != 1 else next(iter(fields))
        if field not in fields:
            known = ", ".join(sorted(map(str, fields))) or "none"
            lacks = f"no field {field!r}" if field else "not exactly one field"
            reason = f"the document has {lacks}; it has: {known}"
            raise SourceError(reason, failure=Failure.ABSENT, hint="say `field:` in the reference")
        return fields[field]

    def _fields(self, *, needed: bool) -> Mapping[str, Any] | None:
        if isinstance(self._content, Mapping):
            return self._content
        parsed = _json_object(self._content)
        if parsed is None and needed:
            reason = "the reference names a field, and the document is not a JSON object"
            raise SourceError(reason, failure=Failure.ABSENT)
        return parsed


def _json_object(text: str) -> Mapping[str, Any] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _sendable(value: object) -> str:
    """Refuse what could not be sent as a header, before the SDK calls it a connection error."""
    text = _text(value, MAX_LENGTH)
    if not _PRINTABLE.fullmatch(text):
        raise _unusable("holds a line break, a control or non-ASCII character, or outer spaces")
    return text


def _pem(value: object) -> str:
    """Refuse what is no certificate and no key; whether it fits is seen when it is used."""
    text = _text(value, MAX_PEM_LENGTH)
    if "-----BEGIN " not in text:
        raise _unusable("is not PEM: it has no line that begins with -----BEGIN")
    return text


def _text(value: object, limit: int) -> str:
    if not isinstance(value, str):
        raise _unusable(f"is {type(value).__name__}, not a text")
    text = value.removesuffix("\n").removesuffix("\r")
    if not text:
        raise _unusable("is empty")
    if len(text) > limit:
        raise _unusable(f"is longer than {limit} characters")
    return text


def _not_pickled(it: Secret | Document) -> TypeError:
    name = type(it).__name__
    return TypeError(f"a {name} is not pickled: send the reference and fetch it where it is needed")


def _unusable(fault: str) -> SourceError:
    return SourceError(f"the value {fault} (not shown)", failure=Failure.DENIED)
