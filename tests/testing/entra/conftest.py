import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tenantry.testing.entra import EntraServer
from tenantry.testing.entra.exchange import Call


@pytest.fixture
def server() -> Iterator[EntraServer]:
    with EntraServer() as running:
        yield running


@pytest.fixture
def fast(server: EntraServer) -> dict[str, Any]:
    """Return what makes a credential ask this server, once."""
    return {
        "authority": server.authority,
        "disable_instance_discovery": True,
        "connection_verify": str(server.ca_file),
        "retry_total": 0,
    }


@pytest.fixture(scope="session")
def make_pem(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a maker of PEM files with an RSA key and its self-signed certificate."""
    directory = tmp_path_factory.mktemp("certificates")

    def make(name: str) -> Path:
        file = directory / f"{name}.pem"
        file.write_bytes(_key_and_certificate(name))
        return file

    return make


@pytest.fixture(scope="session")
def app_pem(make_pem: Callable[[str], Path]) -> Path:
    return make_pem("app")


@pytest.fixture
def make_call() -> Callable[..., Call]:
    def make(**parts: Any) -> Call:
        known: dict[str, Any] = {
            "kind": "token",
            "method": "GET",
            "origin": "https://entra.test",
            "path": "/",
            "path_params": {},
            "query": {},
            "headers": {},
            "form": {},
        }
        return Call(**(known | parts))

    return make


def _key_and_certificate(name: str) -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + certificate.public_bytes(serialization.Encoding.PEM)
