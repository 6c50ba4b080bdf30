"""Contexts trust what they are told to, and show a certificate without leaving its key anywhere."""

from __future__ import annotations

import hashlib
import os
import ssl
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import Name, NameAttribute
from cryptography.x509.oid import NameOID

from tenantry import ConfigError
from tenantry.clients.tls import Identity, stamp, trusting
from tenantry.secret import Secret
from tenantry.testing import CertificateAuthority

if TYPE_CHECKING:
    from tenantry.testing.certificates import ClientCertificate

CA_NAME = "tenantry test CA"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("authority"), name=CA_NAME)


@pytest.fixture(scope="module")
def acme(authority: CertificateAuthority) -> ClientCertificate:
    return authority.client("acme")


def shown_to(authority: CertificateAuthority, client: ssl.SSLContext) -> str:
    """Shake hands with a server that asks who it is, and return the name that it was shown."""
    files = authority.server()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate_file, files.key_file)
    server.load_verify_locations(cafile=authority.ca_file)
    server.verify_mode = ssl.CERT_OPTIONAL
    here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(here, there, server_hostname="localhost")
    far = server.wrap_bio(there, here, server_side=True)
    for _ in range(4):
        for side in (near, far):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    peer: dict[str, Any] = far.getpeercert() or {}
    return "".join(value for ((_, value),) in peer.get("subject", ()))


def identity(certificate: Path, key: Path | None = None) -> Identity:
    return Identity(
        Secret(certificate.read_text()), None if key is None else Secret(key.read_text())
    )


# -- what is trusted ------------------------------------------------------------------------------


def hashed_name() -> str:
    """Return what `openssl rehash` calls the authority: of its name in lower case, the SHA-1."""
    name = Name([NameAttribute(NameOID.COMMON_NAME, CA_NAME.lower())]).public_bytes()
    digest = hashlib.sha1(name[2:], usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}.0"


@pytest.mark.parametrize("name", ["ca.pem", "ca.crt", "ca.cer", hashed_name()])
def test_a_directory_is_trusted(authority: CertificateAuthority, tmp_path: Path, name: str) -> None:
    """What stands in a directory is trusted, whether it was hashed or just put there."""
    (tmp_path / name).write_bytes(authority.ca_file.read_bytes())
    (tmp_path / "README").write_text("not a certificate")
    assert "" == shown_to(authority, trusting(tmp_path))


def test_several_directories_are_trusted(authority: CertificateAuthority, tmp_path: Path) -> None:
    """Directories that are joined by colons are trusted together."""
    ours, other = tmp_path / "ours", tmp_path / "other"
    for directory, trusted in ((ours, authority), (other, CertificateAuthority(tmp_path))):
        directory.mkdir()
        (directory / "ca.pem").write_bytes(trusted.ca_file.read_bytes())
    assert "" == shown_to(authority, trusting(Path(f"{other}:{ours}")))


def test_nobody_else_is_trusted(authority: CertificateAuthority, tmp_path: Path) -> None:
    """With an authority of its own, a context does not trust another of the same name."""
    stranger = CertificateAuthority(tmp_path, name=CA_NAME)
    with pytest.raises(ssl.SSLCertVerificationError):
        shown_to(authority, trusting(stranger.ca_file))


def test_an_empty_directory_is_an_error(tmp_path: Path) -> None:
    """A directory in which nothing could be found is not trusted in silence."""
    with pytest.raises(ConfigError, match=r"tls\.ca: .* holds no \*\.pem"):
        trusting(tmp_path)


@pytest.mark.parametrize("text", [None, "", "no certificate"])
def test_what_cannot_be_read_is_an_error(tmp_path: Path, text: str | None) -> None:
    """A file that is not there, or holds no certificate, is named."""
    ca = tmp_path / "ca.pem"
    if text is not None:
        ca.write_text(text)
    with pytest.raises(ConfigError, match=r"tls\.ca: .*ca\.pem cannot be read as PEM") as caught:
        trusting(ca)
    assert ["tls.ca"] == [problem.path for problem in caught.value.problems]


def test_a_stamp_tells_files_apart(tmp_path: Path) -> None:
    """A file that is replaced, or a directory that gets another one, has another stamp."""
    file = tmp_path / "ca.pem"
    nothing, empty = stamp(file), stamp(tmp_path)
    file.write_text("one")
    first = stamp(file)
    (tmp_path / "next").write_text("two")
    (tmp_path / "next").replace(file)
    assert () == nothing
    assert 5 == len({nothing, empty, first, stamp(file), stamp(tmp_path)})


# -- what is shown --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["apart", "combined", "a key of its own beside a combined one"])
def test_a_certificate_is_shown(
    authority: CertificateAuthority, acme: ClientCertificate, form: str
) -> None:
    """A server sees the certificate, whether its key stands with it, apart, or twice."""
    certificate = acme.certificate_file if form == "apart" else acme.combined_file
    context = trusting(authority.ca_file)
    identity(certificate, None if form == "combined" else acme.key_file).show_in(context)
    assert "acme" == shown_to(authority, context)


def test_the_key_that_is_said_counts(
    authority: CertificateAuthority, acme: ClientCertificate
) -> None:
    """A key that is said is used in place of the one that stands with the certificate."""
    other = authority.client("globex")
    with pytest.raises(ConfigError, match=r"tls\.key: does not belong to the certificate"):
        identity(acme.combined_file, other.key_file).show_in(trusting(authority.ca_file))


def encrypted(file: Path) -> str:
    key = serialization.load_pem_private_key(file.read_bytes(), None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    ).decode()


def broken(text: str) -> str:
    """Return a PEM text whose content is not what it begins with."""
    first, _, *rest = text.splitlines()
    return "\n".join([first, "bm90IHdoYXQgaXQgc2F5cw==", *rest])


@pytest.mark.parametrize(
    "fault", ["no certificate", "no key", "bad certificate", "bad key", "encrypted", "another"]
)
@pytest.mark.parametrize("together", [False, True], ids=["apart", "together"])
def test_what_is_wrong_is_said_and_not_shown(
    authority: CertificateAuthority, acme: ClientCertificate, fault: str, together: bool
) -> None:
    """Each fault has its own wording, at the setting that it stands at, without any of the text."""
    certificate, key = acme.certificate_file.read_text(), acme.key_file.read_text()
    words, path = "cannot be read as PEM", "tls.key"
    if fault == "no certificate":
        certificate, words, path = "hunter2", "holds no certificate in PEM", "tls.certificate"
    elif fault == "no key":
        key, words = "hunter2", "holds no private key in PEM"
    elif fault == "bad certificate":
        certificate, path = broken(certificate), "tls.certificate"
    elif fault == "bad key":
        key = broken(key)
    elif fault == "encrypted":
        key, words = encrypted(acme.key_file), "is encrypted: give the private key without"
    else:
        key = authority.client("globex").key_file.read_text()
        words = "does not belong to the certificate"
    pair = (
        Identity(Secret(f"{certificate}\n{key}"))
        if together
        else Identity(Secret(certificate), Secret(key))
    )
    with pytest.raises(ConfigError, match=words) as caught:
        pair.show_in(trusting(authority.ca_file))
    [problem] = caught.value.problems
    assert ("tls.certificate" if together else path) == problem.path
    shown = f"{caught.value} {caught.value.__cause__!r} {pair!r}"
    assert not any(line in shown for line in (*certificate.splitlines(), *key.splitlines()))


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


class Looking:
    """Stands where a context does, and looks at the file that it is given."""

    def load_cert_chain(self, file: str, password: object) -> None:
        self.path = Path(file)
        self.mode = stat.S_IMODE(self.path.stat().st_mode)
        self.text = self.path.read_text()


@pytest.mark.parametrize("in_memory", [True, False])
def test_nothing_is_left_behind(
    acme: ClientCertificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: bool
) -> None:
    """The key is in a file for a moment, which nobody else may read; after it the file is gone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create")
    before = descriptors()
    looking: Any = Looking()
    identity(acme.combined_file).show_in(looking)
    assert acme.combined_file.read_text() == looking.text
    assert in_memory == str(looking.path).startswith("/proc/self/fd/")
    if not in_memory:
        assert (0o600, tmp_path) == (looking.mode, looking.path.parent)
    assert ([], before) == (list(tmp_path.iterdir()), descriptors())


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_failure_leaves_nothing_behind(
    authority: CertificateAuthority,
    acme: ClientCertificate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    in_memory: bool,
) -> None:
    """A key that cannot be used leaves no file and no descriptor either."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create")
    context = trusting(authority.ca_file)
    before = descriptors()
    with pytest.raises(ConfigError):
        identity(acme.certificate_file, authority.client("globex").key_file).show_in(context)
    assert ([], before) == (list(tmp_path.iterdir()), descriptors())
