"""A fake registry's clients reach no network."""

from __future__ import annotations

import pytest

from tenantry.testing import FakeRegistry


def test_a_websocket_is_refused() -> None:
    """What would open a socket of its own says which server to use instead."""
    pytest.importorskip("websockets")
    with (
        FakeRegistry("acme") as registry,
        pytest.raises(RuntimeError, match="OpenAIServer"),
        registry.client("acme").realtime.connect(model="any"),
    ):
        pass


def test_streams_are_in_flight_until_they_are_read() -> None:
    """A stream counts as a real one does, so that `drain` can be tested."""
    with FakeRegistry("acme") as registry:
        client = registry.client("acme")
        stream = client.chat.completions.create(model="any", messages=[], stream=True)
        assert {"acme": 1} == registry.drain(0)
        assert list(stream)
        assert {} == registry.drain(0)
