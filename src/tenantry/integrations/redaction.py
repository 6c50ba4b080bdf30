"""What in a log line is a secret, by its key or by its looks?"""

from __future__ import annotations

import datetime as dt
import decimal
import re
import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from tenantry.secret import REDACTED

MAX_DEPTH = 12  # of containers in each other; what lies deeper is looked at as it would be written

_NAMES: Final = (
    r"authorization|(?:api|access|account|subscription|private|secret)[-_ ]?key|token|"
    r"pass(?:word|wd|phrase)|secret|credentials?|cookie|signature"
)
_SECRET_KEY = re.compile(rf"(?:{_NAMES})s?$|^(?:pwd|sig)$", re.IGNORECASE)
_COUNTED = re.compile(r"tokens$", re.IGNORECASE)  # max_tokens, usage: numbers of another kind

# What is a secret wherever it stands; the group, where there is one, is kept.
_PATTERN = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"[sr]k-[A-Za-z0-9][A-Za-z0-9_\-./+=]{11,}"  # OpenAI and kin
    r"|eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?"  # JWT
    r"|hv[sbr]\.[\w-]{8,}"  # Vault
    r"|(?<!\.)s\.[A-Za-z0-9]{24}(?![A-Za-z0-9])"  # Vault, before 1.10
    r"|[A-Za-z0-9]{52}JQQJ9[A-Za-z0-9]{27}(?![A-Za-z0-9])"  # Azure
    r"|(?i:(bearer\s+))[^\s\"',;]{6,})"
)
# A secret that follows its name: in a header, a query, JSON, the repr of a mapping.
_NAMED = re.compile(
    rf"((?:{_NAMES})(?:"
    r"=[\"']?"  # a query, a command line: whatever follows
    r"|[\"']\s*:\s*b?[\"']"  # JSON, or a repr
    r"|[\"']?\s*[,:]\s*b?[\"']?(?=[\w+/=\-.]{16})"  # a header: what is long enough to be one
    r"))((?<=')[^'\n]+|(?<=\")[^\"\n]+|[^\s\"'&,;(){}\[\]]{4,})",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"(://[^\s/:@\"']*:)[^\s/@\"']+(?=@)")

_HARMLESS = (type(None), bool, int, float, complex, decimal.Decimal, dt.date, dt.time, uuid.UUID)


def redacted(value: Any, key: object = "") -> Any:
    """Return a value without its secrets: the same object where it has none. Never raises.

    Args:
        value: whatever a log line holds.
        key: what it is called there.
    """
    try:
        return _redacted(value, key, MAX_DEPTH)
    except Exception:  # noqa: BLE001  # what cannot be looked at is not shown
        return REDACTED


def redacted_text(text: str) -> str:
    """Return a text without what looks like a secret in it."""
    text = _PATTERN.sub(lambda found: (found[1] or "") + REDACTED, text)
    if "=" in text or ":" in text or "," in text:
        text = _NAMED.sub(lambda found: found[1] + REDACTED, text)
        text = _USERINFO.sub(lambda found: found[1] + REDACTED, text)
    return text


@lru_cache(4096)
def is_secret(key: str) -> bool:
    """Whether what goes by that name is a secret."""
    return _SECRET_KEY.search(key) is not None and _COUNTED.search(key) is None


def _redacted(value: Any, key: object, depth: int) -> Any:
    if isinstance(value, _HARMLESS):
        return value
    if isinstance(key, str) and is_secret(key) and value not in ("", b""):
        return REDACTED
    if isinstance(value, str):
        return _unless_same(value, redacted_text(value))
    if depth and isinstance(value, Mapping):
        return _mapping(value, depth - 1)
    if depth and isinstance(value, (list, tuple, set, frozenset)):
        return _several(value, depth - 1)
    # A renderer writes anything else by its repr; the object stays where that holds no secret.
    written = repr(value)
    kept = redacted_text(written)
    return value if kept == written else kept


def _mapping(value: Mapping[Any, Any], depth: int) -> Mapping[Any, Any]:
    kept = {_of_key(key): _redacted(each, key, depth) for key, each in value.items()}
    same = all(map(_is, kept.items(), value.items()))
    return value if same and len(kept) == len(value) else kept


def _of_key(key: Any) -> Any:
    return _unless_same(key, redacted_text(key)) if isinstance(key, str) else key


def _several(value: Any, depth: int) -> Any:
    kept = [_redacted(each, "", depth) for each in value]
    if all(new is old for new, old in zip(kept, value, strict=True)):
        return value
    return kept if isinstance(value, list) else tuple(kept)


def _is(new: tuple[Any, Any], old: tuple[Any, Any]) -> bool:
    return new[0] is old[0] and new[1] is old[1]


def _unless_same(before: str, after: str) -> str:
    return before if before == after else after
