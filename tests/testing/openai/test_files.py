from __future__ import annotations

import threading

import pytest

from tenantry.testing.openai.files import FileStore, Part, read_form

FORM = "multipart/form-data; boundary=edge"


def test_a_form_is_read_to_the_byte() -> None:
    """Contents keep their line breaks, zero bytes and near-boundaries."""
    body = (
        b'--edge\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="\xc3\xa9 1.bin"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n\x00\r\n\r\n--edg \n\r\n--edge--\r\n"
    )
    expected = {"purpose": Part(b"batch"), "file": Part(b"\x00\r\n\r\n--edg \n", "é 1.bin")}
    assert expected == read_form(FORM, body)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("", b""),
        ("multipart/form-data", b"--edge--\r\n"),
        (FORM, b""),
        (FORM, b'--edge\r\nContent-Disposition: form-data; name="file"\r\n\r\nhalf'),
    ],
)
def test_anything_else_is_no_form(content_type: str, body: bytes) -> None:
    """A wrong type, a missing boundary and a truncated form are refused."""
    with pytest.raises(ValueError, match="form"):
        read_form(content_type, body)


def test_a_part_does_not_show_its_content() -> None:
    """The repr of an upload holds no content."""
    assert "Part(filename='a.txt')" == repr(Part(b"secret", "a.txt"))


def test_ids_are_never_used_again() -> None:
    """A file that is stored after a deletion gets a new id."""
    store = FileStore(threading.RLock())
    first = store.add("a", "batch", b"1")
    assert store.delete(first.id)
    second = store.add("b", "batch", b"2")
    assert first.id != second.id
    assert [second] == store.all()
