"""A certificate authority for loopback servers, so that TLS is verified in tests and demos too."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenantry.errors import MissingExtraError

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID
except ModuleNotFoundError as missing:
    raise MissingExtraError("testing", needed_for="the embedded servers' certificates") from missing

if TYPE_CHECKING:
    from pathlib import Path

VALIDITY = dt.timedelta(days=7)


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """Files that a server presents, and whose client certificates it asks for (mTLS), if any."""

    certificate_file: Path
    key_file: Path
    client_ca_file: Path | None = None

    @property
    def client_verification(self) -> int:
        return ssl.CERT_NONE if self.client_ca_file is None else ssl.CERT_REQUIRED


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """Files that a client presents: certificate and key apart, and both in one PEM file."""

    certificate_file: Path
    key_file: Path
    combined_file: Path


class CertificateAuthority:
    """Issues certificates for loopback names; lives as long as the directory that it writes to."""

    def __init__(self, directory: Path, *, name: str = "tenantry test CA") -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _name(name)
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        builder = _builder(self._subject, self._subject, self._key.public_key())
        certificate = (
            builder.add_extension(constraints, critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.ca_file = directory / "ca.pem"
        self.ca_file.write_bytes(_pem(certificate))

    def server(self, *, client_ca_file: Path | None = None) -> ServerCertificate:
        """Issue a certificate for 127.0.0.1 and localhost."""
        names = x509.SubjectAlternativeName(
            [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        )
        certificate, key = self._issue("server", names)
        return ServerCertificate(certificate, key, client_ca_file)

    def client(self, name: str) -> ClientCertificate:
        """Issue a client certificate whose common name is `name`."""
        certificate, key = self._issue(name, x509.SubjectAlternativeName([x509.DNSName(name)]))
        combined = self._directory / f"{name}.combined.pem"
        combined.write_bytes(certificate.read_bytes() + key.read_bytes())
        return ClientCertificate(certificate, key, combined)

    def _issue(self, name: str, names: x509.SubjectAlternativeName) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(name), self._subject, key.public_key())
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            builder.add_extension(names, critical=False)
            .add_extension(authority, critical=False)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        certificate_file = self._directory / f"{name}.pem"
        key_file = self._directory / f"{name}.key"
        certificate_file.write_bytes(_pem(certificate))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate_file, key_file


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + VALIDITY)
        # From 3.13 on Python verifies strictly: RFC 5280 wants key identifiers and usages.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
