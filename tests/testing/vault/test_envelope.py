from __future__ import annotations

from tenantry.testing.vault.envelope import RefusedError, Reply, secret, spread


def test_a_secret_has_eight_fields() -> None:
    """Every envelope has the same keys, whatever it carries."""
    expected = {
        "request_id",
        "lease_id",
        "renewable",
        "lease_duration",
        "data",
        "wrap_info",
        "warnings",
        "auth",
    }

    assert isinstance(body := secret(None).body, dict)
    assert expected == set(body)


def test_an_old_reply_has_its_data_twice() -> None:
    """The oldest endpoints show their data inside and beside the envelope."""
    assert isinstance(body := spread({"a": 1}).body, dict)
    assert (1, {"a": 1}) == (body["a"], body["data"])


def test_a_reply_shows_no_body() -> None:
    """A repr is safe to log: what a reply carries is not in it."""
    assert "sk-secret" not in repr(secret({"api_key": "sk-secret"}))


def test_a_refusal_is_a_list_of_errors() -> None:
    """What was refused is told as Vault does, with the headers that go with it."""
    refused = RefusedError(429, "slow down", headers={"Retry-After": "4"})

    assert Reply(429, {"errors": ["slow down"]}, {"Retry-After": "4"}) == refused.reply
