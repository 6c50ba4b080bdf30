"""What `auth:` of a Vault may say, and logging in with a TLS client certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import ValidationError

from tenantry.errors import Failure
from tenantry.settings import References
from tenantry.sources import kinds
from tenantry.sources.vault import VaultSettings
from tenantry.sources.vault_auth import Certificate
from tenantry.testing import CertificateAuthority, VaultServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.sources.conftest import Bench

PLANTED = "sk-planted-0123456789"
ACME = {"vault": "tenants/acme"}
READ = 'path "secret/data/tenants/*" { capabilities = ["read"] }'


X = {"literal": "x"}


def settings(auth: object) -> VaultSettings:
    said = {"address": "https://vault.test", "auth": auth}
    return VaultSettings.model_validate(said, context=References(kinds()))


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "auth",
    [
        {},
        {"token": {"literal": "x"}, "token_file": "/x"},
        {"password": "x"},
        {"token": None},
        "kubernetes",
        {"jwt": {"role": "x"}},
        {"jwt": {"role": "x", "token": {"literal": "x"}, "token_file": "/x"}},
    ],
)
def test_there_is_exactly_one_way_to_log_in(auth: Any) -> None:
    """No way, two ways and an unknown one are configuration errors."""
    with pytest.raises(ValidationError):
        settings(auth)


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        ({"token": X}, "literal token"),
        ({"approle": {"role_id": "x", "secret_id": X}}, "literal secret_id"),
        ({"approle": {"role_id": "x", "secret_id": X, "wrapped": True}}, "literal secret_id"),
        ({"jwt": {"role": "x", "token": X}}, "literal token"),
        ({"userpass": {"username": "x", "password": X}}, "literal password"),
    ],
)
def test_a_source_names_the_secrets_it_needs(auth: object, expected: str) -> None:
    """Cycles are found by what a source's settings refer to."""
    [found] = settings(auth).references()
    assert expected == f"{found.source} {found.setting}"


@pytest.mark.parametrize(
    "auth",
    [
        "agent",
        {"token_file": "/x"},
        {"kubernetes": {"role": "x"}},
        {"jwt": {"role": "x", "token_file": "/x"}},
        {"cert": {"certificate": "/x"}},
    ],
)
def test_other_ways_need_no_secret(auth: object) -> None:
    """What is read from files, or nowhere, is no reference."""
    assert () == settings(auth).references()


# -- client certificates --------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


@pytest.fixture
def vault(authority: CertificateAuthority) -> Iterator[VaultServer]:
    certificate = authority.server(client_ca_file=authority.ca_file)
    with VaultServer(certificate=certificate) as server:
        server.add_policy("tenants", READ)
        server.put("tenants/acme", {"api_key": PLANTED})
        server.certificate_role("web", policies=["tenants"])
        server.certificate_role("other", policies=[])
        yield server


@pytest.fixture
def bench(
    opened: Callable[..., Bench], vault: VaultServer, authority: CertificateAuthority
) -> Callable[..., Bench]:
    """Return what opens a source that logs in with a certificate."""

    def make(**cert: Any) -> Bench:
        tls = {"ca": str(authority.ca_file)}
        return opened({"vault": {"address": vault.url, "auth": {"cert": cert}, "tls": tls}})

    return make


def test_a_certificate_logs_in(
    bench: Callable[..., Bench], authority: CertificateAuthority, vault: VaultServer
) -> None:
    """A certificate is presented with its key, from one file or two, and a role may be named."""
    client = authority.client("app")
    combined, apart = str(client.combined_file), str(client.certificate_file)
    assert PLANTED == bench(certificate=combined).value(ACME)
    named = {"certificate": apart, "key": str(client.key_file), "name": "web"}
    assert PLANTED == bench(**named).value(ACME)
    assert Failure.DENIED is bench(**{**named, "name": "other"}).error(ACME).failure
    assert {"none"} == {each.caller for each in vault.requests if each.operation == "login"}


def test_the_cert_method_may_be_mounted_elsewhere(
    bench: Callable[..., Bench], authority: CertificateAuthority, vault: VaultServer
) -> None:
    """The mount of the auth method can be named."""
    vault.certificate_role("web", policies=["tenants"], mount="team-cert")
    client = authority.client("app")
    said = {"certificate": str(client.combined_file), "mount": "team-cert"}
    assert PLANTED == bench(**said).value(ACME)


def test_a_replaced_certificate_is_presented(
    bench: Callable[..., Bench], authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each login reads the files anew, on a connection that no earlier certificate opened."""
    client = authority.client("app")
    opened = bench(certificate=str(client.combined_file))
    opened.fetch(ACME)
    client.combined_file.unlink()
    source: Any = opened.secrets._source("vault").opened()
    source._session.keeper.refresh().wait(10.0)
    assert "cannot be read" in str(source._session.keeper.error)
    client.combined_file.write_bytes(authority.client("next").combined_file.read_bytes())
    source._session.keeper.refresh().wait(10.0)
    assert None is source._session.keeper.error


def test_a_certificate_of_strangers_is_refused(
    bench: Callable[..., Bench], tmp_path: Path, vault: VaultServer
) -> None:
    """A certificate that the server does not trust gets no session."""
    (tmp_path / "strangers").mkdir()
    client = CertificateAuthority(tmp_path / "strangers").client("app")
    error = bench(certificate=str(client.combined_file)).error(ACME)
    assert Failure.TRANSIENT is error.failure
    assert f"cannot log in to Vault at {vault.url}: it" in str(error)
    assert () == vault.requests


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read"), (b"", "cannot be used"), (b"certificate only", "cannot be used")],
)
def test_unusable_files_are_named(
    bench: Callable[..., Bench], tmp_path: Path, content: bytes | None, words: str
) -> None:
    """Files that are missing or no certificate are named, and said to be ours."""
    file = tmp_path / "client.pem"
    if content is not None:
        file.write_bytes(content)
    error = bench(certificate=str(file)).error(ACME)
    assert f"its client certificate {file} or its key {words}" in str(error)
    assert "PEM files, without a password" in error.hint


def test_nobody_is_asked_for_the_password_of_a_key(
    bench: Callable[..., Bench], authority: CertificateAuthority
) -> None:
    """An encrypted key is refused: OpenSSL would wait for somebody at the terminal."""
    client = authority.client("app")
    key = load_pem_private_key(client.key_file.read_bytes(), None)
    locked = BestAvailableEncryption(b"password")
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)
    client.combined_file.write_bytes(client.certificate_file.read_bytes() + private)
    assert "cannot be used" in str(bench(certificate=str(client.combined_file)).error(ACME))


def test_files_as_requests_takes_them(tmp_path: Path) -> None:
    """One file is a path, and two are a pair."""
    one, two = tmp_path / "one", tmp_path / "two"
    assert str(one) == Certificate(certificate=one).files
    assert (str(one), str(two)) == Certificate(certificate=one, key=two).files
