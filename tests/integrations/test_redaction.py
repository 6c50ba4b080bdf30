"""What in a log line is a secret, by its key or by its looks."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from tenantry.integrations.redaction import is_secret, redacted, redacted_text

HIDDEN = "**********"
HEX = "0123456789abcdef0123456789abcdef"
AZURE = "A1" * 26 + "JQQJ99" + "B2" * 13
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhY21lIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "key",
    [
        *("authorization", "Authorization", "proxy-authorization", "cookie", "Set-Cookie"),
        *("api_key", "api-key", "apikey", "apiKey", "X-Api-Key", "OPENAI_API_KEY", "admin_api_key"),
        *("token", "access_token", "refreshToken", "X-Vault-Token"),
        *("password", "passwd", "pwd", "passphrase", "db_password", "credentials", "sig"),
        *("secret", "client_secret", "clientSecret", "secret_key", "private-key", "secrets"),
        *("Ocp-Apim-Subscription-Key", "account_key", "signature"),
    ],
)
def test_what_goes_by_such_a_name_is_a_secret(key: str) -> None:
    """Whatever it looks like, and in whatever case it is written."""
    assert {key: HIDDEN} == redacted({key: "anything"})


@pytest.mark.parametrize(
    "key",
    [
        *("event", "tenant", "key", "keys", "key_id", "secret_name", "token_count", "keyboard"),
        *(
            "fingerprint",
            "secret_version",
            "author",
            "passenger",
            "design",
            "cookies_accepted",
            "max_tokens",
        ),
    ],
)
def test_other_names_hide_nothing(key: str) -> None:
    """A log that hides too much is not read."""
    assert not is_secret(key)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sk-proj-abcdefghijklmnop", HIDDEN),
        ("it was sk-abcdefghijklmnop.", f"it was {HIDDEN}"),
        ("Authorization: Bearer abcdefgh", f"Authorization: Bearer {HIDDEN}"),
        ("bearer abcdefgh", f"bearer {HIDDEN}"),
        (f"token {JWT} refused", f"token {HIDDEN} refused"),
        ("hvs.CAESIJ1234567890", HIDDEN),
        (f"s.{'aB3' * 8}", HIDDEN),
        (f"key {AZURE}", f"key {HIDDEN}"),
        (f"{{'api-key': '{HEX}'}}", f"{{'api-key': '{HIDDEN}'}}"),
        (f"[(b'api-key', b'{HEX}')]", f"[(b'api-key', b'{HIDDEN}')]"),
        (f"api-key: {HEX}", f"api-key: {HIDDEN}"),
        ('{"password": "two words"}', f'{{"password": "{HIDDEN}"}}'),
        ("https://h/p?api-key=abcd1234&x=1", f"https://h/p?api-key={HIDDEN}&x=1"),
        ("postgres://tenantry:pass@h/db", f"postgres://tenantry:{HIDDEN}@h/db"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_in_any_text(text: str, shown: str) -> None:
    """Only the secret is; and what was hidden stays as it is when it is looked at again."""
    assert shown == redacted_text(text)
    assert shown == redacted_text(shown)


@pytest.mark.parametrize(
    "text",
    [
        "risk-management-of-everything",
        "the task-0123456789abcdef is done",
        "Bearer token missing",
        "tenants.acme.api_key: must be a text or a reference",
        "max_tokens: 4096",
        f"request {HEX}",
        "http://127.0.0.1:8080/v1@2",
        "credential: api_key from vault:secret/data/acme",
    ],
)
def test_what_only_resembles_a_secret_stays(text: str) -> None:
    """Words, numbers, identifiers, addresses and our own messages are read by somebody."""
    assert text is redacted(text)


def test_what_has_no_secret_is_the_same_object() -> None:
    """Nothing is copied for an ordinary line."""
    line = {"ids": ["a", 1], "pair": ("a", None), "usage": {"total_tokens": 5}, "at": 1.5}
    assert line is redacted(line)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ([{"x": ({"token": "t"},)}], [{"x": ({"token": HIDDEN},)}]),
        (MappingProxyType({"token": "t"}), {"token": HIDDEN}),
        ({"token": None, "password": "", "secret": 5, "api_key": ["x"]}, None),
        ({"sk-abcdefghijklmnop": 1}, {HIDDEN: 1}),
        ({"a": b"Bearer abcdefgh"}, {"a": f"b'Bearer {HIDDEN}'"}),
        ({"sk-abcdefghijklmnop"}, (HIDDEN,)),
    ],
)
def test_secrets_are_found_at_any_depth(value: Any, shown: Any) -> None:
    """The application's own objects are left as they are; what is no text is no secret."""
    before = repr(value)
    if shown is None:
        shown = {**value, "api_key": HIDDEN}
    assert (shown, before) == (redacted(value), repr(value))


def test_what_refers_to_itself_or_lies_deep_is_looked_at_as_it_would_be_written() -> None:
    """Neither goes on without end."""
    loop: dict[str, Any] = {"note": "Bearer abcdefgh"}
    loop["self"] = loop
    assert "abcdefgh" not in repr(redacted(loop))
    deep: Any = {"token": "sk-abcdefghijklmnop"}
    for _ in range(50):
        deep = [deep]
    assert "sk-abc" not in repr(redacted(deep))


class Odd:
    def __init__(self, written: str) -> None:
        self.written = written

    def __repr__(self) -> str:
        if not self.written:
            raise RuntimeError
        return self.written


def test_an_object_is_looked_at_as_it_would_be_written() -> None:
    """One that shows no secret stays itself."""
    odd = Odd("<Odd>")
    assert odd is redacted(odd)
    assert f"<Odd token='{HIDDEN}'>" == redacted(Odd("<Odd token='x1'>"))


def test_what_cannot_be_looked_at_is_not_shown() -> None:
    """And does not raise."""
    assert {"a": HIDDEN} == {"a": redacted(Odd(""))}


@pytest.mark.parametrize("text", ["eyJ", "://a:", 'token"  ', "secret: ", "sk-a ", "bearer ", "a"])
def test_long_texts_take_no_longer_than_they_are(text: str) -> None:
    """No pattern looks at the same characters again and again: a quadratic one would not end."""
    assert len(redacted_text(text * 100_000)) > 0
