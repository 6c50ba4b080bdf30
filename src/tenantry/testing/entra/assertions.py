"""Did the application sign this client assertion, for us, and is it in time?"""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tenantry.testing.entra.refusals import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding

MALFORMED = 50027
WRONG_AUDIENCE = 700023
OUT_OF_TIME = 700024
NOT_REGISTERED = 700027
WRONG_SUBJECT = 700212
PARTS_OF_A_JWT = 3


def registered_key(certificate_file: Path) -> rsa.RSAPublicKey:
    """Read the public key that assertions are to be checked with.

    Args:
        certificate_file: PEM; a private key in the same file is passed over.

    Raises:
        ValueError: It is not a certificate, or not one for RSA, all that Entra accepts.
    """
    certificate = x509.load_pem_x509_certificates(certificate_file.read_bytes())[0]
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        message = f"{certificate_file} has no RSA key, and Entra signs assertions with nothing else"
        raise ValueError(message)  # noqa: TRY004 - the caller passed a path, of the right type
    return key


def check_assertion(
    assertion: str, key: rsa.RSAPublicKey, *, client_id: str, audience: str
) -> None:
    """Raise `RefusedError` unless `assertion` is a JWT that `client_id` signed for `audience`."""
    header, claims = _decoded(assertion)
    _check_signature(assertion, key, header.get("alg"), client_id)
    if claims.get("aud") != audience:
        raise RefusedError(WRONG_AUDIENCE)
    if (claims.get("iss"), claims.get("sub")) != (client_id, client_id):
        raise RefusedError(WRONG_SUBJECT, client_id=client_id)
    if not _in_time(claims):
        raise RefusedError(OUT_OF_TIME)


def is_jwt(assertion: str) -> bool:
    """Tell three dotted parts from an opaque string."""
    return len(assertion.split(".")) == PARTS_OF_A_JWT


def _decoded(assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, claims, _ = assertion.split(".")
    try:
        return _json(header), _json(claims)
    except ValueError:
        raise RefusedError(MALFORMED) from None


def _json(part: str) -> dict[str, Any]:
    content = json.loads(_bytes(part))
    if not isinstance(content, dict):
        message = "a part of a JWT is a JSON object"
        raise ValueError(message)  # noqa: TRY004 - one error for whatever is malformed
    return content


def _bytes(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _check_signature(
    assertion: str, key: rsa.RSAPublicKey, algorithm: object, client_id: str
) -> None:
    signed, _, signature = assertion.rpartition(".")
    try:
        key.verify(_bytes(signature), signed.encode(), _padding(algorithm), hashes.SHA256())
    except (InvalidSignature, ValueError):
        raise RefusedError(NOT_REGISTERED, client_id=client_id) from None


def _padding(algorithm: object) -> AsymmetricPadding:
    if algorithm == "PS256":
        return padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    if algorithm == "RS256":
        return padding.PKCS1v15()
    message = f"not an algorithm for client assertions: {algorithm}"
    raise ValueError(message)


def _in_time(claims: dict[str, Any]) -> bool:
    now = time.time()
    return bool(claims.get("nbf", 0) <= now < claims.get("exp", 0))
