"""What a connection trusts, and the certificate that it shows of itself."""

from __future__ import annotations

import os
import re
import ssl
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tenantry.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Generator

    from tenantry.secret import Secret

CERTIFICATE = "tls.certificate"
KEY = "tls.key"

_BEGINS_CERTIFICATE = "-----BEGIN CERTIFICATE-----"
_BEGINS_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
# What `openssl rehash` calls certificates: the one form of a directory that OpenSSL reads itself.
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")
_DESCRIPTORS = "/proc/self/fd"
_SUFFIXES = frozenset({".pem", ".crt", ".cer"})


# -- what is trusted ------------------------------------------------------------------------------


def trusting(ca: Path) -> ssl.SSLContext:
    """Return a context that trusts the authorities of a PEM file or a directory, and no others.

    Several directories may be joined by colons, as in SSL_CERT_DIR. Certificates in one are found
    under the names that `openssl rehash` gives them, else as `*.pem`, `*.crt` and `*.cer`.

    Raises:
        ConfigError: it cannot be read, or holds no certificate.
    """
    try:
        if not _is_directory(ca):
            return ssl.create_default_context(cafile=ca)
        context = ssl.create_default_context(capath=ca)
        for file in _unhashed(ca):
            context.load_verify_locations(cafile=file)
    except OSError as error:  # ssl.SSLError is one
        reason = f"{ca} cannot be read as PEM: {error.strerror or error}"
        raise ConfigError(Problem(reason, path="tls.ca")) from error
    return context


def _is_directory(ca: Path) -> bool:
    return all(Path(part).is_dir() for part in str(ca).split(os.pathsep))


def _unhashed(ca: Path) -> list[Path]:
    """Return the certificates of directories in which OpenSSL by itself would find none."""
    files = [file for part in str(ca).split(os.pathsep) for file in Path(part).iterdir()]
    if any(_HASHED.fullmatch(file.name) for file in files):
        return []
    found = sorted(file for file in files if file.suffix in _SUFFIXES)
    if not found:
        reason = f"{ca} holds no *.pem, *.crt or *.cer file, nor what `openssl rehash` makes"
        raise ConfigError(Problem(reason, path="tls.ca"))
    return found


def stamp(path: Path) -> tuple[int, ...]:
    """Return what changes when a file, or what stands in a directory, is replaced."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_ino, found.st_size, found.st_mtime_ns)


# -- what is shown --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Identity:
    """A client's certificate with its chain, and its private key; the texts are PEM.

    Without a `key`, the certificate's text holds it, too.
    """

    certificate: Secret
    key: Secret | None = None

    def show_in(self, context: ssl.SSLContext) -> None:
        """Let a context show this certificate where a server asks for one.

        Raises:
            ConfigError: with the path of the setting whose text is wrong, and nothing of the text.
        """
        certificate = self.certificate.reveal()
        key = certificate if self.key is None else self.key.reveal()
        if _BEGINS_CERTIFICATE not in certificate:
            raise self._wrong(CERTIFICATE, "holds no certificate in PEM")
        if not _BEGINS_KEY.search(key):
            raise self._wrong(KEY, "holds no private key in PEM")
        # OpenSSL takes the first key that it finds.
        text = certificate if self.key is None else f"{key}\n{certificate}"
        try:
            with _as_file(text) as file:
                context.load_cert_chain(file, password=self._passphrase)
        except ssl.SSLError as error:
            raise self._refused(certificate, error) from error

    def _passphrase(self) -> str:
        # OpenSSL would ask for it at the terminal, and wait.
        raise self._wrong(KEY, "is encrypted: give the private key without a passphrase")

    def _refused(self, certificate: str, error: ssl.SSLError) -> ConfigError:
        if error.reason == "KEY_VALUES_MISMATCH":
            return self._wrong(KEY, "does not belong to the certificate")
        alone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            alone.load_verify_locations(cadata=certificate.encode("ascii", "ignore").decode())
        except ssl.SSLError:
            return self._wrong(CERTIFICATE, "cannot be read as PEM")
        return self._wrong(KEY, "cannot be read as PEM")

    def _wrong(self, path: str, fault: str) -> ConfigError:
        where = CERTIFICATE if self.key is None else path
        return ConfigError(Problem(f"{fault} (not shown)", path=where))


@contextmanager
def _as_file(text: str) -> Generator[str]:
    """Give a text a file's name for a moment: OpenSSL reads keys from files only.

    The file is in memory where the system has such, else for this user's eyes alone, and deleted
    at once.
    """
    with _file() as file:
        file.write(text.encode())
        file.flush()
        yield file.name if isinstance(file.name, str) else f"{_DESCRIPTORS}/{file.name}"


def _file() -> IO[bytes]:
    if hasattr(os, "memfd_create") and Path(_DESCRIPTORS).is_dir():
        return open(os.memfd_create("tenantry"), "wb")  # noqa: PTH123  # a descriptor, not a path
    return tempfile.NamedTemporaryFile()
