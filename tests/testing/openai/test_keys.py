from __future__ import annotations

import threading

import pytest

from tenantry.testing.openai.keys import (
    CONFLICT,
    NOTHING,
    STRANGER,
    KeyRing,
    Presented,
    Standing,
    read_credential,
)


@pytest.fixture
def keys() -> KeyRing:
    return KeyRing(threading.RLock(), accept_any=False)


@pytest.mark.parametrize(
    ("headers", "presented"),
    [
        ([], NOTHING),
        ([(b"authorization", b"Bearer k1")], Presented("k1", "bearer")),
        ([(b"authorization", b"bearer k1")], Presented("k1", "bearer")),
        ([(b"api-key", b"k1")], Presented("k1", "api-key")),
        ([(b"authorization", b"Basic dTpw")], NOTHING),
        ([(b"authorization", b"Bearer ")], NOTHING),
        ([(b"authorization", b"Bearer k1"), (b"api-key", b"k1")], Presented("k1", "api-key")),
        ([(b"api-key", b"k1"), (b"authorization", b"Bearer k1")], Presented("k1", "api-key")),
        ([(b"authorization", b"Bearer k1"), (b"api-key", b"k2")], CONFLICT),
        ([(b"authorization", b"Basic dTpw"), (b"api-key", b"k2")], CONFLICT),
        ([(b"authorization", b"Bearer k1"), (b"authorization", b"Bearer k2")], CONFLICT),
    ],
)
def test_one_credential_is_read(headers: list[tuple[bytes, bytes]], presented: Presented) -> None:
    """A bearer token or an api-key is the credential, and two different ones are a conflict."""
    assert presented == read_credential(headers)


def test_a_presented_key_is_not_shown() -> None:
    """The repr of a credential does not hold the key."""
    assert "Presented(kind='bearer', conflicting=False)" == repr(Presented("k1", "bearer"))


def test_an_allowed_key_is_valid_with_its_labels(keys: KeyRing) -> None:
    """What was said when a key was allowed is known when it is presented."""
    keys.allow("k1", tenant="acme", version="2")
    assert Standing(valid=True, tenant="acme", version="2") == keys.standing("k1")


def test_a_revoked_key_keeps_its_labels(keys: KeyRing) -> None:
    """A revoked key is invalid, and still known."""
    keys.allow("k1", tenant="acme", version="2")
    keys.revoke("k1")
    assert Standing(valid=False, tenant="acme", version="2") == keys.standing("k1")


def test_allowing_again_undoes_a_revocation(keys: KeyRing) -> None:
    """The last word on a key counts."""
    keys.revoke("k1")
    keys.allow("k1")
    assert keys.standing("k1").valid


@pytest.mark.parametrize("key", [None, "", "k9"])
def test_strangers_are_invalid(keys: KeyRing, key: str | None) -> None:
    """Neither an unknown key nor an absent one is valid."""
    assert STRANGER == keys.standing(key)


def test_an_expired_key_is_invalid_and_known(keys: KeyRing) -> None:
    """A key is valid only for its lifetime."""
    keys.allow("k1", tenant="acme", lifetime=0)
    standing = keys.standing("k1")
    assert (False, "acme") == (standing.valid, standing.tenant)


def test_accept_any_still_refuses_the_revoked() -> None:
    """Where any key is valid, a revoked one is not, and none is not a key."""
    keys = KeyRing(threading.RLock(), accept_any=True)
    keys.revoke("k1")
    assert [True, False, False] == [keys.standing(key).valid for key in ("k9", "k1", None)]


@pytest.mark.parametrize("key", ["", " ", "k1\n", " k1"])
def test_blank_keys_are_refused(keys: KeyRing, key: str) -> None:
    """A key that no header could carry is a mistake of the test."""
    with pytest.raises(ValueError, match=r"^a key must be non-empty, without blanks around it$"):
        keys.allow(key)
