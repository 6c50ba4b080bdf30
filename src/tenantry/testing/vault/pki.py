"""A PKI mount: a root of its own, roles, and certificates under a lease."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenantry.errors import MissingExtraError
from tenantry.testing.vault import times
from tenantry.testing.vault.envelope import Json, RefusedError, Reply, no_content, secret
from tenantry.testing.vault.routes import RoutedEngine
from tenantry.testing.vault.tokens import SYSTEM_TTL

if TYPE_CHECKING:
    from tenantry.testing.vault.leases import LeaseStore
    from tenantry.testing.vault.mounts import Call

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID
except ModuleNotFoundError as missing:
    raise MissingExtraError("testing", needed_for="Vault's pki engine") from missing


@dataclass(frozen=True, slots=True)
class _Root:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


class Pki(RoutedEngine):
    """One pki mount; all keys are P-256, whatever a role asks for."""

    def __init__(self, leases: LeaseStore) -> None:
        self._leases = leases
        self._root: _Root | None = None
        self._roles: dict[str, Json] = {}
        super().__init__(
            ("write", "root/generate/internal", self._generate),
            ("write", "roles/+", self._write_role),
            ("write", "issue/+", self._issue),
        )

    def _generate(self, call: Call) -> Reply:
        key = ec.generate_private_key(ec.SECP256R1())
        expires = call.now + times.seconds(call.body.get("ttl"), SYSTEM_TTL)
        name = str(call.body.get("common_name", ""))
        certificate = _certificate(name, key, _Issuer(name, key), call.now, expires)
        self._root = _Root(certificate, key)
        return secret(_described(certificate, certificate))

    def _write_role(self, call: Call, name: str) -> Reply:
        self._roles[name] = call.body
        return no_content()

    def _issue(self, call: Call, name: str) -> Reply:
        role, root = self._roles.get(name), self._root
        if role is None:
            raise RefusedError(400, f"unknown role: {name}")
        if root is None:
            raise RefusedError(400, "backend must be configured with a CA certificate/key")
        ttl = times.seconds(call.body.get("ttl") or role.get("ttl"), SYSTEM_TTL)
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = _Issuer(_common_name(root.certificate), root.key)
        common_name = str(call.body.get("common_name", ""))
        made = _certificate(common_name, key, issuer, call.now, call.now + ttl)
        data = {
            **_described(made, root.certificate),
            "private_key": _key_pem(key),
            "private_key_type": "ec",
        }
        if not role.get("generate_lease"):
            return secret(data)
        return self._leased(call, data, ttl)

    def _leased(self, call: Call, data: Json, ttl: int) -> Reply:
        path = f"{call.mount}{call.path}"
        lease = self._leases.grant(path, call.caller, call.now, ttl=ttl, limit=ttl, renewable=False)
        return secret(data, lease_id=lease.id, lease_duration=ttl)


@dataclass(frozen=True, slots=True)
class _Issuer:
    name: str
    key: ec.EllipticCurvePrivateKey


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: _Issuer, now: float, expires: float
) -> x509.Certificate:
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .issuer_name(_subject(issuer.name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime.fromtimestamp(now - 30, dt.UTC))
        .not_valid_after(dt.datetime.fromtimestamp(int(expires), dt.UTC))
        .sign(issuer.key, hashes.SHA256())
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _described(certificate: x509.Certificate, authority: x509.Certificate) -> Json:
    return {
        "certificate": _pem(certificate),
        "expiration": int(certificate.not_valid_after_utc.timestamp()),
        "issuing_ca": _pem(authority),
        "serial_number": certificate.serial_number.to_bytes(20, "big").hex(":"),
    }


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode().rstrip()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return (
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        .decode()
        .rstrip()
    )
