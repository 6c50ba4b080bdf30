"""Made-up keys stand in for every kind of source, and say which version they are."""

from __future__ import annotations

import threading

import pytest

from tenantry.errors import SourceError
from tenantry.settings import SecretReference
from tenantry.sources import WORKLOAD_IDENTITY, kinds
from tenantry.sources.file import FileReference
from tenantry.testing.fake.keys import FakeKeys
from tenantry.testing.openai.keys import KeyRing


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing(threading.RLock(), accept_any=False)


@pytest.fixture
def keys(ring: KeyRing) -> FakeKeys:
    return FakeKeys(threading.RLock(), ring)


def reference(setting: str = "api_key", field: str | None = None) -> SecretReference:
    options = FileReference.model_validate({"path": "/run/acme", "field": field})
    return SecretReference("file", options, setting)


def test_no_kind_of_source_is_left_as_it_is(keys: FakeKeys) -> None:
    """Every kind that a configuration may name opens as one that delivers made-up keys."""
    made = keys.kinds()
    assert {*kinds(), WORKLOAD_IDENTITY.name} == set(made)
    assert 1 == len({kind.open for kind in made.values()})


def test_a_document_has_every_field_that_is_needed(keys: FakeKeys) -> None:
    """Fields of one document are different values of one version; PEM where that is needed."""
    keys.expect([reference(), reference("key"), reference("x", field="gate")])
    document = keys.deliver("file", reference().options)
    values = {
        document.secret(None, "api_key").reveal(),
        document.secret(None, "key").reveal(),
        document.secret("gate", "x").reveal(),
    }
    assert 3 == len(values)
    assert "1" == document.version


def test_a_rotation_revokes_what_was_before(keys: FakeKeys, ring: KeyRing) -> None:
    """The service takes what was delivered, until a rotation; unless that revokes nothing."""
    first = keys.deliver("file", reference().options).secret(None, "api_key").reveal()
    keys.rotate(reference(), revoke=False)
    second = keys.deliver("file", reference().options).secret(None, "api_key").reveal()
    assert [True, True] == [ring.standing(each).valid for each in (first, second)]
    keys.rotate(reference(), revoke=True)
    assert [True, False] == [ring.standing(each).valid for each in (first, second)]
    assert ["1", "2"] == [ring.standing(each).version for each in (first, second)]


def test_what_is_withheld_is_a_failure_of_the_source(keys: FakeKeys) -> None:
    """A source that is to fail fails, and delivers again when it is to."""
    keys.withhold(reference(), withheld=True)
    with pytest.raises(SourceError, match="withheld"):
        keys.deliver("file", reference().options)
    keys.withhold(reference(), withheld=False)
    assert "1" == keys.deliver("file", reference().options).version
