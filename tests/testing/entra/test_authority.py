import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    WorkloadIdentityCredential,
)

from tenantry.testing.entra import EntraServer
from tenantry.testing.entra.authority import Authority
from tenantry.testing.entra.exchange import Call
from tenantry.testing.entra.tokens import TokenLedger

SCOPE = "https://cognitiveservices.azure.com/.default"
GRANT = {
    "grant_type": "client_credentials",
    "client_id": "app",
    "client_secret": "hunter2",
    "scope": SCOPE,
}


@pytest.fixture
def ledger() -> TokenLedger:
    return TokenLedger(threading.RLock())


@pytest.fixture
def authority(ledger: TokenLedger) -> Authority:
    made = Authority(ledger, threading.RLock(), home="home")
    made.register(
        "app", directory_id="d", secret="hunter2", certificate_file=None, federated_token="jwt"
    )
    return made


def ask(
    authority: Authority, make_call: Callable[..., Call], directory_id: str = "d", **changes: Any
) -> dict[str, Any]:
    form = {name: value for name, value in (GRANT | changes).items() if value is not None}
    reply = authority.token(make_call(form=form, path_params={"directory_id": directory_id}))
    return {"status": reply.status, **cast("dict[str, Any]", reply.body)}


def test_client_secret_gets_a_token(server: EntraServer, fast: dict[str, Any]) -> None:
    """ClientSecretCredential gets the token that is recorded as issued for a client secret."""
    server.register_app("app", secret="hunter2")
    with ClientSecretCredential(server.directory_id, "app", "hunter2", **fast) as credential:
        token = credential.get_token_info(SCOPE)
    (issued,) = server.issued
    assert issued.value == token.token
    expected = ("client_secret", "app", server.directory_id, SCOPE)
    assert expected == (issued.kind, issued.client_id, issued.directory_id, issued.scope)


def test_certificate_gets_a_token(server: EntraServer, fast: dict[str, Any], app_pem: Path) -> None:
    """CertificateCredential gets a token by what it signs with the registered certificate."""
    server.register_app("app", certificate_file=app_pem)
    with CertificateCredential(server.directory_id, "app", str(app_pem), **fast) as credential:
        token = credential.get_token_info(SCOPE)
    assert [("certificate", token.token)] == [(i.kind, i.value) for i in server.issued]


def test_other_certificate_is_refused(
    server: EntraServer,
    fast: dict[str, Any],
    app_pem: Path,
    make_pem: Callable[[str], Path],
) -> None:
    """CertificateCredential with an unregistered certificate is refused."""
    server.register_app("app", certificate_file=app_pem)
    thief = str(make_pem("thief"))
    with (
        CertificateCredential(server.directory_id, "app", thief, **fast) as credential,
        pytest.raises(ClientAuthenticationError, match="AADSTS700027"),
    ):
        credential.get_token_info(SCOPE)


def test_workload_identity_gets_a_token(
    server: EntraServer, fast: dict[str, Any], tmp_path: Path
) -> None:
    """WorkloadIdentityCredential gets a token for the federated token in its file."""
    server.register_app("app", federated_token="a.projected.token")
    file = tmp_path / "token"
    file.write_text("a.projected.token")
    credential = WorkloadIdentityCredential(
        tenant_id=server.directory_id, client_id="app", token_file_path=str(file), **fast
    )
    with credential:
        token = credential.get_token_info(SCOPE)
    assert [("federated", token.token)] == [(i.kind, i.value) for i in server.issued]


def test_client_assertion_gets_a_token(server: EntraServer, fast: dict[str, Any]) -> None:
    """ClientAssertionCredential gets a token for an opaque federated token."""
    server.register_app("app", federated_token="opaque")
    with ClientAssertionCredential(
        server.directory_id, "app", lambda: "opaque", **fast
    ) as credential:
        token = credential.get_token_info(SCOPE)
    assert [("federated", token.token)] == [(i.kind, i.value) for i in server.issued]


def test_changed_secret_replaces_the_old_one(server: EntraServer, fast: dict[str, Any]) -> None:
    """After a rotation the new secret gets a token and the old one does not."""
    server.register_app("app", secret="hunter2")
    server.change_secret("app", "hunter3")
    with ClientSecretCredential(server.directory_id, "app", "hunter3", **fast) as credential:
        credential.get_token_info(SCOPE)
    with (
        ClientSecretCredential(server.directory_id, "app", "hunter2", **fast) as credential,
        pytest.raises(ClientAuthenticationError, match="AADSTS7000215"),
    ):
        credential.get_token_info(SCOPE)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"client_secret": "wrong"}, 401, 7000215),
        ({"client_secret": None}, 401, 7000216),
        ({"client_id": "unknown"}, 400, 700016),
        ({"client_id": None}, 400, 90014),
        ({"directory_id": "home"}, 400, 700016),
        ({"directory_id": "unknown"}, 400, 90002),
        ({"grant_type": "password"}, 400, 70003),
        ({"scope": "https://cognitiveservices.azure.com"}, 400, 1002012),
        ({"scope": None}, 400, 90014),
        ({"client_assertion": "unknown"}, 401, 700213),
        ({"client_assertion": "un.kno.wn"}, 401, 700213),
    ],
)
def test_refusal_is_entras(
    authority: Authority,
    ledger: TokenLedger,
    make_call: Callable[..., Call],
    changes: dict[str, Any],
    status: int,
    code: int,
) -> None:
    """A request that Entra would refuse gets its status and code, and no token."""
    answer = ask(authority, make_call, **changes)
    assert (status, [code]) == (answer["status"], answer["error_codes"])
    assert () == ledger.issued()


@pytest.mark.parametrize("refresh_in", [None, 1800])
def test_token_answer_has_lifetimes(
    authority: Authority,
    ledger: TokenLedger,
    make_call: Callable[..., Call],
    refresh_in: int | None,
) -> None:
    """The answer says for how long the token is good, and when to refresh it if that is set."""
    ledger.lifetime, ledger.refresh_in = 7200, refresh_in
    answer = ask(authority, make_call)
    assert (200, 7200, refresh_in) == (
        answer["status"],
        answer["expires_in"],
        answer.get("refresh_in"),
    )


def test_metadata_names_the_token_endpoint(
    authority: Authority, make_call: Callable[..., Call]
) -> None:
    """The metadata of a directory leads to its token endpoint at the same origin."""
    reply = authority.discovery(make_call(path_params={"directory_id": "d"}))
    expected = "https://entra.test/d/oauth2/v2.0/token"
    assert expected == cast("dict[str, Any]", reply.body)["token_endpoint"]


def test_metadata_of_an_unknown_directory_is_refused(
    authority: Authority, make_call: Callable[..., Call]
) -> None:
    """There is no metadata for a directory without applications."""
    reply = authority.discovery(make_call(path_params={"directory_id": "unknown"}))
    assert (400, [90002]) == (reply.status, cast("dict[str, Any]", reply.body)["error_codes"])


def test_secret_of_an_unknown_application_cannot_change(authority: Authority) -> None:
    """Changing the secret of an application that is not registered is an error."""
    with pytest.raises(KeyError):
        authority.change_secret("unknown", "hunter3")
