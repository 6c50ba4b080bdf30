"""A value that never prints itself, and the document that it was read from."""

from __future__ import annotations

import hmac
import json
import re
import secrets
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NoReturn, Self, SupportsIndex, final

from tenantry.errors import Failure, SourceError

REDACTED: Final = "**********"
_RANDOM_KEY: Final = secrets.token_bytes(32)
MAX_LENGTH: Final = 16_384  # characters; what servers accept as one header
MAX_PEM_LENGTH = 65_536  # of a certificate with its chain, or a key
PEM_SETTINGS = frozenset({"certificate", "key"})  # of `tls`; everything else is sent as a header

_PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


_named_keys: list[weakref.WeakMethod[Callable[[], Secret | None]]] = []  # the last one counts


def fingerprint_under(key: Callable[[], Secret | None]) -> None:
    """Make the fingerprints of this process with `key()`, as long as the owner of it lives.

    Processes that name the same key show the same fingerprint for a secret. While the key is not
    known there are none: one made with another key would compare as another secret.
    """
    _named_keys[:] = [*(each for each in _named_keys if each()), weakref.WeakMethod(key)]


def fingerprint_freely(key: Callable[[], Secret | None]) -> None:
    """Forget that key; where no other was named, the random one of this process is taken again."""
    _named_keys[:] = [named for named in _named_keys if named() not in (None, key)]


def fingerprint(text: str) -> str:
    """Return twelve digits that tell a text from others; see `Secret.fingerprint`."""
    key = _key()
    return "" if key is None else hmac.digest(key, text.encode(), "sha256").hex()[:12]


def _key() -> bytes | None:
    """Return what fingerprints are made with, None where that is named and not known."""
    for reference in reversed(tuple(_named_keys)):
        named = reference()
        if named is not None:
            secret = named()
            return None if secret is None else secret.reveal().encode()
    return _RANDOM_KEY


class _Unpickled:
    """What no pickle takes along; a copy of it is itself."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        name = type(self).__name__
        raise TypeError(
            f"a {name} is not pickled: send the reference and fetch it where it is needed"
        )

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


@final
class Secret(_Unpickled):
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

        Under a `registry.fingerprint_key` also in all others that name the same; empty while that
        is not known. A keyed hash: it says nothing of the value to who sees it in a log.
        """
        return fingerprint(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        version = f" version={self.version}" if self.version else ""
        return f"<Secret {REDACTED}{version}>"


@final
class Document(_Unpickled):
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

    @property
    def fingerprint(self) -> str:
        """What tells this document from others; see `Secret.fingerprint`."""
        return fingerprint(repr(self._content))

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
        # No frame that raises holds the plain value: tracebacks are written with their locals.
        found = Secret(self._value(field, setting), self.version)
        fault = (_fault_of_pem if setting in PEM_SETTINGS else _fault_of_line)(found.reveal())
        if fault:
            raise SourceError(f"the value {fault} (not shown)", failure=Failure.DENIED)
        return Secret(_unended(found.reveal()), self.version)

    def _value(self, field: str | None, setting: str) -> Any:
        fields = self._fields(needed=field is not None)
        if fields is None:
            return self._content
        if field is None:
            field = setting if setting in fields or len(fields) != 1 else next(iter(fields))
        if field not in fields:
            known = ", ".join(sorted(map(str, fields))) or "none"
            lacks = f"no field {field!r}" if field else "not exactly one field"
            del fields  # likewise
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


def _fault_of_line(value: object) -> str:
    """Say what could not be sent as a header, before the SDK calls it a connection error."""
    fault = _fault_of_text(value, MAX_LENGTH)
    if not fault and not _PRINTABLE.fullmatch(_unended(str(value))):
        return "holds a line break, a control or non-ASCII character, or outer spaces"
    return fault


def _fault_of_pem(value: object) -> str:
    """Say what is no certificate and no key; whether it fits is seen when it is used."""
    fault = _fault_of_text(value, MAX_PEM_LENGTH)
    if not fault and "-----BEGIN " not in str(value):
        return "is not PEM: it has no line that begins with -----BEGIN"
    return fault


def _fault_of_text(value: object, limit: int) -> str:
    if not isinstance(value, str):
        return f"is {type(value).__name__}, not a text"
    text = _unended(value)
    if not text:
        return "is empty"
    return f"is longer than {limit} characters" if len(text) > limit else ""


def _unended(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")
