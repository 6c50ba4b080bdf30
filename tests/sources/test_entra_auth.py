"""Certificates, the Azure CLI and azure-identity's own choice, on an embedded Entra ID."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from azure.identity import DefaultAzureCredential
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from tenantry.errors import Failure
from tenantry.settings import References
from tenantry.sources import kinds
from tenantry.sources.entra import SCOPE, EntraSettings
from tenantry.testing import EntraServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.sources.conftest import Bench

SECRET = "client-secret-0123456789"
PASSWORD = "password-0123456789"
TOKEN: dict[str, Any] = {"entra": {}}
HALF = '{"accessToken": "planted-0123456789"}'
VARIABLES = (
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_TENANT_ID",
    "AZURE_TOKEN_CREDENTIALS",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
)


@pytest.fixture(scope="module")
def entra() -> Iterator[EntraServer]:
    with EntraServer() as server:
        server.register_app("app", secret=SECRET)
        yield server


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave nothing of this machine's own identity: no variable, and no program on the PATH."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def settings(entra: EntraServer, auth: object) -> dict[str, Any]:
    tls = {"ca": str(entra.ca_file)}
    return {"entra": {"auth": auth, "authority": entra.authority, "tls": tls}}


# -- certificates ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65_537, 2048)


def pem(key: rsa.RSAPrivateKey, password: str | None = None) -> bytes:
    """Return a certificate and its key, as one file holds both."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.public_key()).serial_number(7)
    builder = builder.not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    lock = NoEncryption() if password is None else BestAvailableEncryption(password.encode())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
    return certificate.public_bytes(Encoding.PEM) + private


@pytest.fixture
def certified(entra: EntraServer, tmp_path: Path, key: rsa.RSAPrivateKey) -> dict[str, Any]:
    """Return the settings of an application that has a certificate."""
    file = tmp_path / "app.pem"
    file.write_bytes(pem(key))
    entra.register_app("certified", certificate_file=file)
    named = {"directory_id": entra.directory_id, "client_id": "certified"}
    return {**named, "certificate": str(file)}


def test_an_application_proves_itself_by_certificate(
    entra: EntraServer, opened: Callable[..., Bench], certified: dict[str, Any]
) -> None:
    """A certificate with its key is enough, and no secret is sent."""
    bench = opened(settings(entra, {"certificate": certified}))
    assert entra.accepts(bench.value(TOKEN))
    assert ("certificate", SCOPE) == (entra.issued[-1].kind, entra.issued[-1].scope)


def test_a_password_opens_the_certificate(
    entra: EntraServer,
    opened: Callable[..., Bench],
    certified: dict[str, Any],
    tmp_path: Path,
    key: rsa.RSAPrivateKey,
    shown: Callable[[BaseException, str], bool],
) -> None:
    """The password is a secret reference; a wrong one, or none, is denied without showing it."""
    (tmp_path / "app.pem").write_bytes(pem(key, PASSWORD))
    locked = {"certificate": {**certified, "password": {"env": "PASSWORD"}}}
    assert entra.accepts(opened(settings(entra, locked), {"PASSWORD": PASSWORD}).value(TOKEN))
    for bench in (
        opened(settings(entra, locked), {"PASSWORD": "wrong-0123456789"}),
        opened(settings(entra, {"certificate": certified})),
    ):
        error = bench.error(TOKEN)
        assert Failure.DENIED is error.failure
        assert f"certificate {tmp_path}/app.pem cannot be used" in str(error)
        assert not shown(error, "wrong-0123456789")
    missing = opened(settings(entra, locked)).error(TOKEN)
    assert "its password from env PASSWORD: variable PASSWORD is not set" in str(missing)


def test_a_certificate_that_is_not_there_is_named(
    entra: EntraServer, opened: Callable[..., Bench], certified: dict[str, Any], tmp_path: Path
) -> None:
    """A file that cannot be read, or not yet, is a transient failure with its name."""
    (tmp_path / "app.pem").unlink()
    error = opened(settings(entra, {"certificate": certified})).error(TOKEN)
    assert Failure.TRANSIENT is error.failure
    assert f"certificate {tmp_path}/app.pem cannot be read: No such file" in str(error)


def test_a_certificate_of_somebody_else_is_denied(
    entra: EntraServer, opened: Callable[..., Bench], certified: dict[str, Any], tmp_path: Path
) -> None:
    """A certificate that is not the application's is denied with Entra's code."""
    (tmp_path / "app.pem").write_bytes(pem(rsa.generate_private_key(65_537, 2048)))
    error = opened(settings(entra, {"certificate": certified})).error(TOKEN)
    assert Failure.DENIED is error.failure
    assert "Entra ID refused the certificate with AADSTS700027" in str(error)


# -- the Azure CLI --------------------------------------------------------------------------------


@pytest.fixture
def az(tmp_path: Path) -> Callable[[str], None]:
    """Return what puts a script in the place of the Azure CLI."""

    def write(script: str) -> None:
        file = tmp_path / "bin" / "az"
        file.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/said\n{script}\n')
        file.chmod(0o755)

    return write


def test_the_cli_is_asked_for_a_token(
    entra: EntraServer, opened: Callable[..., Bench], az: Callable[[str], None], tmp_path: Path
) -> None:
    """What `az` prints is the token, with its end; a directory is named where one is said."""
    reply = json.dumps({"accessToken": "cli-token", "expires_on": int(time.time()) + 3600})
    az(f"echo '{reply}'")
    document = opened(settings(entra, "cli")).fetch(TOKEN)
    assert "cli-token" == document.secret(None, "api_key").reveal()
    assert 3500 < (document.lifetime or 0) <= 3600
    resource = SCOPE.removesuffix("/.default")
    said = f"account get-access-token --output json --resource {resource}"
    assert said == (tmp_path / "said").read_text().strip()
    opened(settings(entra, {"cli": {"directory_id": "contoso.test"}})).fetch(TOKEN)
    assert f"{said} --tenant contoso.test" == (tmp_path / "said").read_text().strip()


@pytest.mark.parametrize(
    "script",
    [None, "echo 'Please run: az login' >&2; exit 1", f"echo '{HALF}'", "exit 3"],
)
def test_a_cli_that_gives_no_token_is_hinted_at(
    entra: EntraServer,
    opened: Callable[..., Bench],
    az: Callable[[str], None],
    shown: Callable[[BaseException, str], bool],
    script: str | None,
) -> None:
    """A missing program, one without a login and one that fails are transient, with a hint."""
    if script is not None:
        az(script)
    error = opened(settings(entra, "cli")).error(TOKEN)
    assert (Failure.TRANSIENT, "no token for the cli") == (error.failure, error.reason)
    assert "`az`" in error.hint
    assert not shown(error, "planted-0123456789")


def test_what_entra_told_the_cli_counts(
    entra: EntraServer, opened: Callable[..., Bench], az: Callable[[str], None]
) -> None:
    """A code of Entra's in what `az` complains about is a denial."""
    az("echo 'ERROR: AADSTS700082: The refresh token has expired' >&2; exit 1")
    error = opened(settings(entra, "cli")).error(TOKEN)
    assert Failure.DENIED is error.failure
    assert "Entra ID refused the cli with AADSTS700082" in str(error)


def test_a_cli_that_hangs_is_left_in_time(
    entra: EntraServer, opened: Callable[..., Bench], az: Callable[[str], None]
) -> None:
    """The time limit of the process bounds a fetch."""
    az("exec /bin/sleep 60")
    auth = {"cli": {"process_timeout": "50ms"}}
    assert "no token for the cli" == opened(settings(entra, auth)).error(TOKEN).reason


# -- azure-identity's own choice ------------------------------------------------------------------


def test_the_default_finds_an_application(
    entra: EntraServer, opened: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process's variables name an application; authority and CA are those of the settings."""
    monkeypatch.setenv("AZURE_TENANT_ID", entra.directory_id)
    monkeypatch.setenv("AZURE_CLIENT_ID", "app")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", SECRET)
    assert entra.accepts(opened(settings(entra, "default")).value(TOKEN))
    assert "client_secret" == entra.issued[-1].kind


def test_the_default_finds_the_machine(
    entra: EntraServer, opened: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an application it is the machine's own identity."""
    for name, value in entra.environment().items():
        monkeypatch.setenv(name, value)
    own = entra.managed_identity()
    opened(settings(entra, {"default": {}})).fetch(TOKEN)
    assert own == entra.issued[-1].client_id


def test_the_default_opens_no_browser(
    entra: EntraServer, opened: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever azure-identity does by default, nobody is asked to log in at a window."""
    made: list[dict[str, Any]] = []
    original = DefaultAzureCredential.__init__

    def note(self: Any, **options: Any) -> None:
        made.append(options)
        original(self, **options)

    monkeypatch.setattr(DefaultAzureCredential, "__init__", note)
    for name, value in entra.environment().items():
        monkeypatch.setenv(name, value)
    entra.managed_identity()
    opened(settings(entra, "default")).fetch(TOKEN)
    [options] = made
    assert (True, 10.0) == (
        options["exclude_interactive_browser_credential"],
        options["process_timeout"],
    )


def test_a_default_that_finds_nothing_is_hinted_at(
    entra: EntraServer, opened: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no way gives a token the hint is to choose one."""
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "AzureCliCredential")
    error = opened(settings(entra, "default")).error(TOKEN)
    assert (Failure.TRANSIENT, "no token for the default") == (error.failure, error.reason)
    assert "which way" in error.hint


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        ("default", []),
        ("cli", []),
        ("managed_identity", []),
        ({"workload_identity": None}, []),
        (
            {
                "client_secret": {
                    "directory_id": "d",
                    "client_id": "c",
                    "client_secret": {"env": "X"},
                }
            },
            ["env client_secret"],
        ),
        ({"certificate": {"directory_id": "d", "client_id": "c", "certificate": "/x"}}, []),
        (
            {
                "certificate": {
                    "directory_id": "d",
                    "client_id": "c",
                    "certificate": "/x",
                    "password": {"env": "X"},
                }
            },
            ["env password"],
        ),
    ],
)
def test_a_source_names_the_secrets_it_needs(auth: object, expected: list[str]) -> None:
    """A client secret and a certificate's password are references; nothing else is."""
    read = EntraSettings.model_validate({"auth": auth}, context=References(kinds()))
    assert expected == [f"{each.source} {each.setting}" for each in read.references()]
