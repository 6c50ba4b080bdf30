from __future__ import annotations

import base64
import copy
import hmac
import json
import pickle
import traceback
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.errors import Failure, SourceError
from tenantry.secret import (
    MAX_LENGTH,
    Document,
    Secret,
    fingerprint_freely,
    fingerprint_under,
)

PLANTED = "sk-planted/+0123456789=="


def forms(value: str) -> tuple[str, ...]:
    return value, base64.b64encode(value.encode()).decode(), quote(value, safe="")


def refusal(document: Document, field: str | None = None, setting: str = "api_key") -> SourceError:
    with pytest.raises(SourceError) as caught:
        document.secret(field, setting)
    return caught.value


# -- nothing prints itself ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "it", [Secret(PLANTED, "7"), Document(PLANTED, version="7"), Document({"key": PLANTED})]
)
def test_neither_secret_nor_document_prints_itself(it: Secret | Document) -> None:
    """No way of turning them into text shows the value, in any encoding."""
    shown = f"{it!r} {it!s} {it} %s {[it]}" % it
    for form in forms(PLANTED):
        assert form not in shown


def test_a_repr_tells_the_version() -> None:
    """What is shown instead of the value is which version it is."""
    assert "<Secret ********** version=7>" == repr(Secret("x", "7"))
    assert "<Secret **********>" == repr(Secret("x"))
    assert "<Document ********** version=7>" == repr(Document("x", version="7"))
    assert "<Document ********** version=->" == repr(Document("x"))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("it", [Secret(PLANTED), Document(PLANTED)])
def test_nothing_is_pickled(it: Secret | Document, protocol: int) -> None:
    """A pickle would carry the value in plain, so there is none."""
    with pytest.raises(TypeError, match="is not pickled: send the reference"):
        pickle.dumps(it, protocol)


@pytest.mark.parametrize("it", [Secret(PLANTED), Document({"key": PLANTED})])
def test_a_copy_is_the_thing_itself(it: Secret | Document) -> None:
    """Containers that copy what they are given get the same object."""
    assert copy.copy(it) is it
    assert copy.deepcopy({"it": it})["it"] is it


def test_secrets_are_compared_by_value() -> None:
    """Two versions of one value are equal: a rotation is a change of value."""
    assert Secret("x", "1") == Secret("x", "2")
    assert Secret("x") != Secret("y")
    assert Secret("x") != "x"
    assert 1 == len({Secret("x", "1"), Secret("x", "2")})


# -- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_line_break_at_the_end_is_left_out(ending: str) -> None:
    """Files end with a line break that is not part of the key."""
    assert PLANTED == Document(PLANTED + ending).secret(None, "api_key").reveal()


def test_inner_spaces_belong_to_the_value() -> None:
    """One space or several within a value are left as they are."""
    assert "Basic  a b" == Document("Basic  a b").secret(None, "api_key").reveal()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        (f"{PLANTED}\n\n", "line break"),
        (f"{PLANTED}\nX: y", "line break"),
        (f"{PLANTED}\0", "control"),
        (f"{PLANTED}\x7f", "control"),
        (f"{PLANTED}ü", "non-ASCII"),
        (f"{PLANTED}\N{NO-BREAK SPACE}", "non-ASCII"),
        (f" {PLANTED}", "outer spaces"),
        (f"{PLANTED} ", "outer spaces"),
        (PLANTED * (MAX_LENGTH // len(PLANTED) + 1), "longer than 16384"),
        ({"api_key": [PLANTED]}, "is list, not a text"),
        ({"api_key": {"inner": PLANTED}}, "is dict, not a text"),
        ({"api_key": 7}, "is int, not a text"),
        ({"api_key": None}, "is NoneType, not a text"),
    ],
)
def test_what_no_header_can_carry_is_refused_unseen(content: Any, fault: str) -> None:
    """A value that could not be sent is an error that names the fault and not the value."""
    error = refusal(Document(content))
    assert fault in str(error)
    assert Failure.DENIED is error.failure
    text = "".join(traceback.format_exception(error))
    assert all(form not in text for form in forms(PLANTED))


@pytest.mark.parametrize("setting", ["certificate", "key"])
def test_a_certificate_and_its_key_have_lines(setting: str) -> None:
    """PEM is read as it is, with its line breaks; it is sent as no header."""
    pem = f"comment: ü\n-----BEGIN PRIVATE KEY-----\n{PLANTED}\n-----END PRIVATE KEY-----"
    assert pem == Document(pem + "\n").secret(None, setting).reveal()
    assert pem == Document({"pem": pem}).secret("pem", setting).reveal()
    assert "line break" in str(refusal(Document(pem)))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (PLANTED, "is not PEM"),
        ("", "is empty"),
        (f"-----BEGIN {PLANTED * 5000}", "longer than 65536"),
        ({"key": 7}, "is int"),
    ],
)
def test_what_is_no_pem_is_refused_unseen(content: Any, fault: str) -> None:
    """A key of `tls` that could not be one is an error that names the fault and not the value."""
    with pytest.raises(SourceError, match=fault) as caught:
        Document(content).secret(None, "key")
    assert PLANTED not in str(caught.value)


@given(st.text())
def test_every_text_is_a_header_value_or_refused(text: str) -> None:
    """Whatever a source delivers, a secret is printable ASCII without outer spaces."""
    try:
        value = Document({"api_key": text}).secret(None, "api_key").reveal()
    except SourceError:
        return
    assert value.isascii()
    assert value.isprintable()
    assert value == value.strip() != ""


# -- fields ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize(
    ("fields", "field", "expected"),
    [
        ({"api_key": "a", "other": "b"}, "other", "b"),
        ({"api_key": "a", "other": "b"}, None, "a"),
        ({"anything": "c"}, None, "c"),
        ({"anything": "c", "api_key": "a"}, None, "a"),
    ],
)
def test_which_field_is_the_secret(
    fields: dict[str, str], field: str | None, expected: str, as_text: bool
) -> None:
    """The named field, else the setting's own name, else the only one; JSON text has fields too."""
    document = Document(json.dumps(fields) if as_text else fields, version="3")
    secret = document.secret(field, "api_key")
    assert (expected, "3") == (secret.reveal(), secret.version)


@pytest.mark.parametrize(
    ("fields", "field", "setting", "message"),
    [
        ({"b": "x", "a": "y"}, "c", "api_key", "no field 'c'; it has: a, b"),
        ({"b": "x", "a": "y"}, None, "api_key", "no field 'api_key'; it has: a, b"),
        ({"b": "x", "a": "y"}, None, "", "not exactly one field; it has: a, b"),
        ({}, None, "api_key", "no field 'api_key'; it has: none"),
        ({1: "x", "a": "y"}, "c", "api_key", "it has: 1, a"),
    ],
)
def test_a_missing_field_lists_those_that_are_there(
    fields: dict[Any, str], field: str | None, setting: str, message: str
) -> None:
    """An error about fields names them, and says which key to write."""
    error = refusal(Document(fields), field, setting)
    assert message in str(error)
    assert "say `field:` in the reference" == error.hint
    assert Failure.ABSENT is error.failure


@pytest.mark.parametrize("content", [PLANTED, "[1]", "{not json", '"text"', "{" * 100_000])
def test_a_plain_text_has_no_fields(content: str) -> None:
    """A reference that names a field of something that is no JSON object is wrong."""
    error = refusal(Document(content), "key")
    assert "names a field, and the document is not a JSON object" in str(error)
    assert PLANTED not in str(error)


def test_a_text_that_only_begins_like_json_is_the_secret() -> None:
    """Without a named field, what cannot be parsed as JSON is taken as it stands."""
    assert "{key}" == Document("{key}").secret(None, "api_key").reveal()


def test_deep_nesting_is_no_json_to_us() -> None:
    """A text that nests deeper than Python's parser can follow is not a JSON object."""
    deep = '{"a":' * 100_000
    assert "longer than" in str(refusal(Document(deep)))


# -- documents ------------------------------------------------------------------------------------


def test_a_document_does_not_follow_the_mapping_it_was_made_of() -> None:
    """A function that returns its own dict each time cannot hide that it changed."""
    fields = {"api_key": "old"}
    before = Document(fields)
    fields["api_key"] = "new"
    assert "old" == before.secret(None, "api_key").reveal()
    assert not before.same_content(Document(fields))


def test_same_content_is_not_same_version() -> None:
    """A new version with the old content is no rotation."""
    assert Document("x", version="1").same_content(Document("x", version="2", lifetime=3.0))
    assert not Document("x").same_content(Document({"x": "x"}))


class Named:
    """Whoever knows the key that fingerprints are made with."""

    def __init__(self, key: str | None) -> None:
        self.secret = None if key is None else Secret(key)

    def key(self) -> Secret | None:
        return self.secret


def test_a_named_key_makes_fingerprints_that_compare() -> None:
    """The HMAC-SHA256 of the value under it, by its first twelve digits: anybody can compute it."""
    expected = hmac.new(b"pepper", b"sk-1", "sha256").hexdigest()[:12]
    named, random = Named("pepper"), Secret("sk-1").fingerprint
    fingerprint_under(named.key)
    try:
        assert expected == Secret("sk-1").fingerprint != random
    finally:
        fingerprint_freely(named.key)
    assert random == Secret("sk-1").fingerprint


def test_the_last_key_that_was_named_counts() -> None:
    """While whoever named it lives, and then the one before."""
    first, last = Named("first"), Named("last")
    fingerprint_under(first.key)
    under_first = Secret("sk-1").fingerprint
    fingerprint_under(last.key)
    try:
        assert under_first != Secret("sk-1").fingerprint
        del last
        assert under_first == Secret("sk-1").fingerprint
    finally:
        fingerprint_freely(first.key)


def test_without_its_key_nothing_has_a_fingerprint() -> None:
    """One made with another key would be taken for another secret's."""
    unknown = Named(None)
    fingerprint_under(unknown.key)
    try:
        assert ("", "") == (Secret("sk-1").fingerprint, Document("sk-1").fingerprint)
    finally:
        fingerprint_freely(unknown.key)
