from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientAssertionCredential, ClientSecretCredential

import tenantry.testing.entra
from tenantry.testing.entra import EntraServer, IssuedToken

SCOPE = "https://cognitiveservices.azure.com/.default"


def get_token(server: EntraServer, fast: dict[str, Any]) -> str:
    """Ask once, without discovery: what goes wrong next befalls the token request."""
    server.register_app("app", federated_token="opaque")
    with ClientAssertionCredential(
        server.directory_id, "app", lambda: "opaque", **fast
    ) as credential:
        return credential.get_token_info(SCOPE).token


def test_package_exports_what_users_name() -> None:
    """The package exports the server, and the types of its records and hooks."""
    expected = {
        "EntraServer",
        "IssueHook",
        "IssuedToken",
        "RecordedRequest",
        "RequestKind",
        "TokenKind",
    }
    assert expected == set(tenantry.testing.entra.__all__)


def test_server_that_is_not_running_is_nowhere() -> None:
    """Before the start there is no address, and the error says what to do."""
    with pytest.raises(RuntimeError, match="use it as a context manager"):
        _ = EntraServer().authority


def test_running_server_cannot_start_again(server: EntraServer) -> None:
    """Starting twice is an error."""
    with pytest.raises(RuntimeError, match="already running"):
        server.start()


def test_files_of_the_ca_are_removed() -> None:
    """The CA's file exists while the server runs and not after; stopping again is harmless."""
    with EntraServer() as server:
        ca_file = server.ca_file
        assert ca_file.is_file()
    assert not ca_file.parent.exists()
    server.stop()


def test_server_can_run_again() -> None:
    """What was registered before is there after a second start."""
    server = EntraServer(directory_id="d")
    server.managed_identity("mine")
    for _ in range(2):
        with server:
            reply = requests.get(
                server.identity_endpoint,
                params={"api-version": "2019-08-01", "resource": "x"},
                headers={"X-IDENTITY-HEADER": server.identity_header},
                timeout=10,
            )
        assert "mine" == reply.json()["client_id"]


def test_both_services_are_on_https(server: EntraServer) -> None:
    """Authority and vault are on the https port, managed identities on the http one."""
    assert server.authority.startswith("https://127.0.0.1:")
    assert server.authority == server.vault_url
    assert server.imds_host.startswith("http://127.0.0.1:")


def test_environment_is_for_one_kind_of_host(server: EntraServer) -> None:
    """The variables lead to App Service's endpoint, or to IMDS."""
    assert {
        "IDENTITY_ENDPOINT": f"{server.imds_host}/msi/token",
        "IDENTITY_HEADER": server.identity_header,
    } == server.environment()
    expected = {"AZURE_POD_IDENTITY_AUTHORITY_HOST": server.imds_host}
    assert expected == server.environment("imds")


def test_reprs_show_no_secret(server: EntraServer, fast: dict[str, Any], app_pem: Path) -> None:
    """Neither the server nor what it recorded or keeps shows a secret, assertion or token."""
    server.register_app(
        "app", secret="hunter2", certificate_file=app_pem, federated_token="opaque-jwt"
    )
    server.set_secret("openai", "sk-hidden")
    with ClientSecretCredential(server.directory_id, "app", "hunter2", **fast) as credential:
        token = credential.get_token_info(SCOPE).token
    kept = (server._authority._applications, server._key_vault._secrets)
    shown = f"{server!r} {server.issued!r} {server.requests!r} {kept!r}"
    for hidden in ("hunter2", "opaque-jwt", "sk-hidden", token, server.identity_header):
        assert hidden not in shown


def test_repr_says_where_and_how_much() -> None:
    """The repr says where the server is, and counts tokens and requests."""
    server = EntraServer()
    assert "<EntraServer stopped issued=0 requests=0>" == repr(server)
    with server:
        assert f"<EntraServer {server.authority} issued=0 requests=0>" == repr(server)


def test_lifetimes_are_told(server: EntraServer, fast: dict[str, Any]) -> None:
    """Tokens are issued with the lifetimes that are set at that moment."""
    server.token_lifetime, server.refresh_in = 120, 60
    get_token(server, fast)
    assert (120, 60) == (server.token_lifetime, server.refresh_in)
    assert [(120, 60)] == [(t.expires_in, t.refresh_in) for t in server.issued]


def test_hook_has_the_token_before_the_client(server: EntraServer, fast: dict[str, Any]) -> None:
    """When the client has its token, every hook has seen it."""
    seen: list[str] = []
    server.on_issue.append(lambda issued: seen.append(issued.value))
    token = get_token(server, fast)
    assert [token] == seen


def test_hook_that_raises_fails_the_request(server: EntraServer, fast: dict[str, Any]) -> None:
    """A hook's error is a 500 for the client, which gets no token."""

    def refuse(_: IssuedToken) -> None:
        message = "no"
        raise ValueError(message)

    server.on_issue.append(refuse)
    with pytest.raises(ClientAuthenticationError, match="Internal Server Error"):
        get_token(server, fast)


@pytest.mark.parametrize("by_value", [True, False])
def test_revoked_token_is_not_accepted(
    server: EntraServer, fast: dict[str, Any], by_value: bool
) -> None:
    """A token is accepted until it is revoked, by its value or by its record."""
    token = get_token(server, fast)
    assert server.accepts(token)
    server.revoke(token if by_value else server.issued[0])
    assert not server.accepts(token)


def test_failures_are_planned(server: EntraServer, fast: dict[str, Any]) -> None:
    """The next request of a kind fails as planned, the one after it does not."""
    server.fail_next(503, error="AADSTS90033: A transient error has occurred.", kind="token")
    with pytest.raises(ClientAuthenticationError, match="AADSTS90033"):
        get_token(server, fast)
    get_token(server, fast)
    assert 2 == server.count("token")


def test_slow_reply_is_late(server: EntraServer, fast: dict[str, Any]) -> None:
    """A client that is not patient enough gets nothing; the request is recorded all the same."""
    server.slow(60, times=1)
    with pytest.raises(requests.ReadTimeout):
        requests.get(server.identity_endpoint, timeout=0.1)
    assert 1 == server.count("app_service")
    get_token(server, fast)


def test_outage_answers_503(server: EntraServer, fast: dict[str, Any]) -> None:
    """In an outage both ports answer 503 to everything, and afterwards as before."""
    server.outage(True)
    discovery = f"{server.authority}/d/v2.0/.well-known/openid-configuration"
    replies = [
        requests.get(discovery, verify=str(server.ca_file), timeout=10),
        requests.get(server.identity_endpoint, timeout=10),
    ]
    assert [503, 503] == [reply.status_code for reply in replies]
    server.outage(False)
    get_token(server, fast)


def test_outage_may_refuse_connections(server: EntraServer, fast: dict[str, Any]) -> None:
    """In a refusing outage nothing listens; afterwards the server is where it was."""
    where = (server.authority, server.imds_host)
    server.outage(True, refuse=True)
    for url in where:
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=10)
    server.outage(False)
    get_token(server, fast)
    assert where == (server.authority, server.imds_host)


def test_outages_may_overlap(server: EntraServer, fast: dict[str, Any]) -> None:
    """A refusing outage may be declared twice, and turn into one that answers."""
    server.outage(True, refuse=True)
    server.outage(True, refuse=True)
    server.outage(True)
    assert 503 == requests.get(server.identity_endpoint, timeout=10).status_code


def test_server_may_stop_in_an_outage() -> None:
    """A server that stops while it refuses connections starts again without an outage."""
    server = EntraServer()
    with server:
        server.outage(True, refuse=True)
    with server:
        assert 401 == requests.get(server.identity_endpoint, timeout=10).status_code
