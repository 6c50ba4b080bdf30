import threading
from collections.abc import Callable
from typing import Any, Literal, cast

import pytest
from azure.identity import CredentialUnavailableError, ManagedIdentityCredential

from tenantry.testing.entra import EntraServer
from tenantry.testing.entra.exchange import Call, Reply
from tenantry.testing.entra.managed_identity import ManagedIdentities
from tenantry.testing.entra.tokens import TokenLedger

RESOURCE = "https://cognitiveservices.azure.com"
SCOPE = f"{RESOURCE}/.default"
Host = Literal["app_service", "imds"]


@pytest.fixture
def identities() -> ManagedIdentities:
    lock = threading.RLock()
    return ManagedIdentities(TokenLedger(lock), lock, directory_id="d")


@pytest.fixture(params=["app_service", "imds"])
def host(
    server: EntraServer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Host:
    for name, value in server.environment(request.param).items():
        monkeypatch.setenv(name, value)
    return cast("Host", request.param)


def body_of(reply: Reply) -> dict[str, Any]:
    return cast("dict[str, Any]", reply.body)


def ask_imds(
    identities: ManagedIdentities, make_call: Callable[..., Call], **query: str
) -> dict[str, Any]:
    headers = {"metadata": "true"}
    call = make_call(kind="imds", headers=headers, query={"resource": RESOURCE} | query)
    return body_of(identities.imds(call))


def test_own_identity_gets_a_token(server: EntraServer, host: Host) -> None:
    """ManagedIdentityCredential gets a token for the host's own identity."""
    client_id = server.managed_identity()
    with ManagedIdentityCredential() as credential:
        token = credential.get_token_info(SCOPE)
    (issued,) = server.issued
    expected = ("managed_identity", client_id, RESOURCE, token.token)
    assert expected == (issued.kind, issued.client_id, issued.scope, issued.value)


def test_named_identity_gets_a_token(server: EntraServer, host: Host) -> None:
    """ManagedIdentityCredential gets a token for the identity that it names, at that host."""
    server.managed_identity()
    server.managed_identity("mine")
    with ManagedIdentityCredential(client_id="mine") as credential:
        credential.get_token_info(SCOPE)
    assert ["mine"] == [token.client_id for token in server.issued]
    assert 1 == server.count(host)


def test_unassigned_identity_is_unavailable(server: EntraServer, host: Host) -> None:
    """ManagedIdentityCredential for an identity that the host does not have is unavailable."""
    server.managed_identity()
    with (
        ManagedIdentityCredential(client_id="other", retry_total=0) as credential,
        pytest.raises(CredentialUnavailableError),
    ):
        credential.get_token_info(SCOPE)


def test_long_token_is_to_be_refreshed_at_half_time(server: EntraServer, host: Host) -> None:
    """For a managed identity's token of two hours or more msal advises half of its lifetime."""
    server.managed_identity()
    server.token_lifetime = 86_400
    with ManagedIdentityCredential() as credential:
        token = credential.get_token_info(SCOPE)
    assert token.refresh_on is not None
    # Two readings of the clock, each cut to whole seconds.
    assert 43_200 == pytest.approx(token.expires_on - token.refresh_on, abs=2)


def test_own_identity_keeps_its_id(identities: ManagedIdentities) -> None:
    """Asking for the host's own identity again gives the same id."""
    assert identities.assign(None) == identities.assign(None)


def test_only_identity_is_given_to_those_who_name_none(
    identities: ManagedIdentities, make_call: Callable[..., Call]
) -> None:
    """A single user-assigned identity serves requests that name none."""
    identities.assign("mine")
    assert "mine" == ask_imds(identities, make_call)["client_id"]


def test_several_identities_have_to_be_named(
    identities: ManagedIdentities, make_call: Callable[..., Call]
) -> None:
    """With several user-assigned identities a request that names none gets no token."""
    identities.assign("mine")
    identities.assign("other")
    assert "Identity not found" == ask_imds(identities, make_call)["error_description"]


@pytest.mark.parametrize("name", ["object_id", "mi_res_id", "msi_res_id", "principal_id"])
def test_identities_have_no_other_names(
    identities: ManagedIdentities, make_call: Callable[..., Call], name: str
) -> None:
    """An identity named by object or resource id is not taken for the host's own."""
    identities.assign(None)
    assert (
        "Identity not found" == ask_imds(identities, make_call, **{name: "x"})["error_description"]
    )


@pytest.mark.parametrize(
    ("headers", "query", "text"),
    [
        ({}, {"resource": RESOURCE}, "Required metadata header not specified"),
        ({"metadata": "true"}, {}, "Required audience parameter not specified"),
    ],
)
def test_imds_refuses_incomplete_requests(
    identities: ManagedIdentities,
    make_call: Callable[..., Call],
    headers: dict[str, str],
    query: dict[str, str],
    text: str,
) -> None:
    """IMDS says which header or parameter is missing."""
    identities.assign(None)
    reply = identities.imds(make_call(headers=headers, query=query))
    assert (400, text) == (reply.status, body_of(reply)["error_description"])


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"x-identity-header": "wrong"}, 401),
        ({"api-version": "2017-09-01"}, 400),
        ({"resource": ""}, 400),
        ({"client_id": "other"}, 400),
    ],
)
def test_app_service_refuses_wrong_requests(
    identities: ManagedIdentities,
    make_call: Callable[..., Call],
    changes: dict[str, str],
    status: int,
) -> None:
    """App Service gives no token without its header, its version, a resource and an identity."""
    identities.assign(None)
    right = {
        "x-identity-header": identities.identity_header,
        "api-version": "2019-08-01",
        "resource": RESOURCE,
    }
    parts = right | changes
    reply = identities.app_service(make_call(headers=parts, query=parts))
    assert (status, status) == (reply.status, body_of(reply)["statusCode"])


def test_failures_are_worded_by_the_host(identities: ManagedIdentities) -> None:
    """IMDS and App Service word a planned failure each in its own form."""
    imds = identities.imds_failure(503, "busy")
    app_service = identities.app_service_failure(503, "busy")
    assert (503, "busy") == (imds.status, body_of(imds)["error_description"])
    assert (503, "busy") == (app_service.status, body_of(app_service)["message"])
