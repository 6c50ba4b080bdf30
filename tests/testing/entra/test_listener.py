import requests

from tenantry.testing.entra import EntraServer


def test_unknown_path_is_not_found(server: EntraServer) -> None:
    """A path that no service has is a 404 and is not recorded."""
    response = requests.get(f"{server.imds_host}/elsewhere", timeout=10)
    assert (404, ()) == (response.status_code, server.requests)


def test_failure_without_a_text_is_a_gateways(server: EntraServer) -> None:
    """A planned failure without a text is an HTML page, with Retry-After where asked for."""
    server.fail_next(503, retry_after=7)
    response = requests.get(server.identity_endpoint, timeout=10)
    expected = (503, "7", "text/html; charset=utf-8")
    assert expected == (
        response.status_code,
        response.headers["Retry-After"],
        response.headers["Content-Type"],
    )


def test_failure_with_a_text_is_the_services(server: EntraServer) -> None:
    """A planned failure with a text is in the service's own form."""
    server.fail_next(500, error="broken")
    response = requests.get(server.identity_endpoint, timeout=10)
    assert (500, "broken") == (response.status_code, response.json()["message"])


def test_form_of_any_bytes_is_answered(server: EntraServer) -> None:
    """A body that is no form is refused like an empty one."""
    response = requests.post(
        f"{server.authority}/{server.directory_id}/oauth2/v2.0/token",
        data=b"\xff\xfe",
        verify=str(server.ca_file),
        timeout=10,
    )
    assert (400, [90014]) == (response.status_code, response.json()["error_codes"])


def test_metadata_has_two_places(server: EntraServer) -> None:
    """The metadata of a directory is found with and without the version in its path."""
    issuers = {
        requests.get(
            f"{server.authority}/{server.directory_id}{version}/.well-known/openid-configuration",
            verify=str(server.ca_file),
            timeout=10,
        ).json()["issuer"]
        for version in ("", "/v2.0")
    }
    assert {f"{server.authority}/{server.directory_id}/v2.0"} == issuers
