"""What hvac does, where it is not what one would expect; tenantry depends on each of these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hvac
import pytest
import requests

from tenantry.testing.vault import VaultServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def read(client: Any, path: str = "t/acme") -> Any:
    return client.secrets.kv.v2.read_secret_version(path, raise_on_deleted_version=True)


def test_no_token_is_the_developers_token(
    vault: VaultServer, monkeypatch: pytest.MonkeyPatch, connect: Callable[..., Any]
) -> None:
    """A token of None is taken from VAULT_TOKEN; an empty one is not, and none is sent."""
    monkeypatch.setenv("VAULT_TOKEN", "s.developer")
    ambient = hvac.Client(url=vault.url)
    ambient.adapter.close()

    assert "s.developer" == ambient.token
    client = connect(vault.url)
    assert "" == client.token
    with pytest.raises(hvac.exceptions.InvalidRequest, match="missing client token"):
        read(client)
    assert "none" == vault.requests[-1].caller


def test_no_token_is_the_token_in_the_home_directory(
    vault: VaultServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without VAULT_TOKEN, a token of None is taken from ~/.vault-token."""
    monkeypatch.delenv("VAULT_TOKEN", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".vault-token").write_text("s.home")
    ambient = hvac.Client(url=vault.url)
    ambient.adapter.close()

    assert "s.home" == ambient.token


def test_a_redirect_is_followed_with_the_token(
    vault: VaultServer, connect: Callable[..., Any]
) -> None:
    """A standby's 307 sends the token to whatever host it names."""
    with VaultServer(root_token="root") as elsewhere:
        elsewhere.put("t/acme", {"of": "elsewhere"})
        vault.standby(elsewhere.url)

        assert {"of": "elsewhere"} == read(connect(vault.url, "root"))["data"]["data"]
        assert ["root"] == [each.caller for each in elsewhere.requests]


def test_a_redirect_that_is_not_followed_is_a_reply(
    vault: VaultServer, connect: Callable[..., Any]
) -> None:
    """Without redirects hvac hands the 307 over, unparsed and without an error."""
    vault.standby("http://127.0.0.1:1")

    reply = read(connect(vault.url, "root", allow_redirects=False))

    assert isinstance(reply, requests.Response)
    assert 307 == reply.status_code


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, hvac.exceptions.InvalidRequest),
        (401, hvac.exceptions.Unauthorized),
        (403, hvac.exceptions.Forbidden),
        (404, hvac.exceptions.InvalidPath),
        (429, hvac.exceptions.RateLimitExceeded),
        (500, hvac.exceptions.InternalServerError),
        (502, hvac.exceptions.BadGateway),
        (503, hvac.exceptions.VaultDown),
        (412, hvac.exceptions.UnexpectedError),
        (472, hvac.exceptions.UnexpectedError),
        (473, hvac.exceptions.UnexpectedError),
        (504, hvac.exceptions.UnexpectedError),
    ],
)
def test_an_error_is_a_class_without_a_status(
    vault: VaultServer, root: Any, status: int, error: type[Exception]
) -> None:
    """hvac has classes for some statuses; the others are one class, and none tells its number."""
    vault.fail_next(status)

    with pytest.raises(error) as raised:
        read(root)

    assert error is type(raised.value)
    assert not {"status", "status_code", "response", "headers"} & set(vars(raised.value))


def test_when_to_come_back_is_lost(vault: VaultServer, root: Any) -> None:
    """Retry-After reaches hvac and not its exception."""
    vault.fail_next(429, retry_after=1234567)

    with pytest.raises(hvac.exceptions.RateLimitExceeded) as raised:
        read(root)

    assert "1234567" not in str(vars(raised.value))


def test_nothing_is_tried_again(vault: VaultServer, root: Any) -> None:
    """One failure is one request."""
    vault.fail_next(503)
    with pytest.raises(hvac.exceptions.VaultDown):
        read(root)

    assert 1 == len(vault.requests)


def test_nothing_is_renewed(vault: VaultServer, root: Any) -> None:
    """hvac keeps no session alive: nobody renews unless told to."""
    vault.put("t/acme", {"k": 1})
    read(root)

    assert (0, 0) == (vault.count("renew"), vault.count("login"))


def test_patience_is_thirty_seconds(root: Any) -> None:
    """Unless told otherwise, hvac waits half a minute."""
    assert 30 == root.adapter._kwargs["timeout"]


def test_a_dead_server_is_a_requests_error(connect: Callable[..., Any]) -> None:
    """Network errors are not among hvac's own."""
    with VaultServer() as vault:
        client = connect(vault.url, "root")

    with pytest.raises(requests.exceptions.ConnectionError) as raised:
        read(client)

    assert not isinstance(raised.value, hvac.exceptions.VaultError)


def test_a_slow_server_is_a_requests_error(vault: VaultServer, connect: Callable[..., Any]) -> None:
    """A timeout is an error of requests too."""
    vault.slow(30)

    with pytest.raises(requests.exceptions.ReadTimeout):
        read(connect(vault.url, "root", timeout=0.2))


def test_a_page_of_html_is_no_error(vault: VaultServer, root: Any) -> None:
    """A proxy's 200 comes back as a response instead of a dictionary."""
    vault.reply_html_next()

    reply = read(root)

    assert isinstance(reply, requests.Response)
    assert "text/html; charset=utf-8" == reply.headers["Content-Type"]


def test_expiry_and_denial_differ_in_their_text_alone(
    vault: VaultServer, connect: Callable[..., Any]
) -> None:
    """Both are Forbidden; only the words tell which."""
    for token, errors in [
        ("s.gone", ["permission denied"]),
        (vault.token(), ["1 error occurred:\n\t* permission denied\n\n"]),
    ]:
        with pytest.raises(hvac.exceptions.Forbidden) as raised:
            read(connect(vault.url, token))
        assert errors == raised.value.errors


def test_a_deleted_secret_is_absent_with_an_envelope(vault: VaultServer, root: Any) -> None:
    """An absent path has an empty list of errors, a deleted version a whole envelope."""
    vault.put("t/acme", {"k": 1})
    vault.delete("t/acme")
    with pytest.raises(hvac.exceptions.InvalidPath) as absent:
        read(root, "none")
    with pytest.raises(hvac.exceptions.InvalidPath) as deleted:
        read(root)

    assert {"errors": []} == absent.value.json
    assert deleted.value.json["data"]["data"] is None
    assert deleted.value.json["data"]["metadata"]["deletion_time"]


def test_kv_2_has_no_lease(vault: VaultServer, root: Any) -> None:
    """Nothing in a KV 2 reply tells how long it may be kept."""
    vault.put("t/acme", {"k": 1})

    reply = read(root)

    assert ("", 0, False) == (reply["lease_id"], reply["lease_duration"], reply["renewable"])


def test_a_login_changes_the_client(vault: VaultServer, connect: Callable[..., Any]) -> None:
    """hvac keeps the token of a login in the client, unless it is told not to."""
    login = vault.approle("svc")
    client = connect(vault.url)
    client.auth.approle.login(*login, use_token=False)
    assert "" == client.token

    token = client.auth.approle.login(*login)["auth"]["client_token"]
    assert token == client.token
