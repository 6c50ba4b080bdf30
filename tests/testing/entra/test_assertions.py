import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt  # msal brings it
import pytest

from tenantry.testing.certificates import CertificateAuthority
from tenantry.testing.entra.assertions import check_assertion, is_jwt, registered_key
from tenantry.testing.entra.refusals import RefusedError

AUDIENCE = "https://entra.test/d/oauth2/v2.0/token"


def signed(pem: Path, algorithm: str = "PS256", **changes: Any) -> str:
    claims = {"aud": AUDIENCE, "iss": "app", "sub": "app", "exp": time.time() + 600} | changes
    return jwt.encode(claims, pem.read_bytes(), algorithm=algorithm)


def refusal_of(assertion: str, pem: Path) -> int:
    with pytest.raises(RefusedError) as refused:
        check_assertion(assertion, registered_key(pem), client_id="app", audience=AUDIENCE)
    return refused.value.code


def encoded(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@pytest.mark.parametrize("algorithm", ["PS256", "RS256"])
def test_signed_assertion_passes(app_pem: Path, algorithm: str) -> None:
    """An assertion signed in either way that msal knows passes."""
    key = registered_key(app_pem)
    check_assertion(signed(app_pem, algorithm), key, client_id="app", audience=AUDIENCE)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "https://elsewhere.test"}, 700023),
        ({"iss": "other"}, 700212),
        ({"sub": "other"}, 700212),
        ({"exp": 1}, 700024),
        ({"nbf": time.time() + 600}, 700024),
    ],
)
def test_wrong_claim_is_refused(app_pem: Path, changes: dict[str, Any], code: int) -> None:
    """An assertion for someone else, by someone else or out of time is refused by its code."""
    assert code == refusal_of(signed(app_pem, **changes), app_pem)


def test_foreign_signature_is_refused(app_pem: Path, make_pem: Callable[[str], Path]) -> None:
    """An assertion signed with another key is refused."""
    assert 700027 == refusal_of(signed(make_pem("thief")), app_pem)


def test_unusual_algorithm_is_refused(app_pem: Path) -> None:
    """An assertion signed with the right key and a wrong algorithm is refused."""
    assert 700027 == refusal_of(signed(app_pem, "RS512"), app_pem)


@pytest.mark.parametrize("part", ["!", encoded("not an object")])
def test_malformed_assertion_is_refused(app_pem: Path, part: str) -> None:
    """An assertion whose parts are not JSON objects is refused as malformed."""
    assert 50027 == refusal_of(f"{part}.{part}.{part}", app_pem)


@pytest.mark.parametrize(("text", "expected"), [("a.b.c", True), ("opaque", False)])
def test_jwt_is_told_from_opaque(text: str, expected: bool) -> None:
    """Three dotted parts are a JWT."""
    assert expected == is_jwt(text)


def test_certificate_needs_an_rsa_key(tmp_path: Path) -> None:
    """A certificate with an elliptic key cannot be registered, as azure-identity refuses it too."""
    certificate = CertificateAuthority(tmp_path).client("app")
    with pytest.raises(ValueError, match="has no RSA key"):
        registered_key(certificate.certificate_file)


def test_file_without_certificate_cannot_be_registered(tmp_path: Path) -> None:
    """A file that is no certificate is an error at registration."""
    file = tmp_path / "empty.pem"
    file.write_text("nothing here")
    with pytest.raises(ValueError, match="PEM"):
        registered_key(file)
