"""How the Vault source connects: TLS, nothing of the environment, and after a fork."""

from __future__ import annotations

import functools
import socket
import warnings
from typing import TYPE_CHECKING, Any

import hvac
import pytest
from tests.forking import forked, joined

from tenantry.errors import Failure
from tenantry.sources.vault import VaultSource
from tenantry.testing import CertificateAuthority, VaultServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.sources.conftest import Bench

PLANTED = "sk-planted-0123456789"
ACME = {"vault": "tenants/acme"}


@pytest.fixture
def bench(opened: Callable[..., Bench], vault_settings: dict[str, Any]) -> Bench:
    return opened({"vault": vault_settings})


def source_of(bench: Bench) -> VaultSource:
    source = bench.secrets._source("vault").opened()
    assert isinstance(source, VaultSource)
    return source


# -- TLS ------------------------------------------------------------------------------------------


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[VaultServer]:
    authority = CertificateAuthority(tmp_path)
    with VaultServer(certificate=authority.server()) as server:
        server.put("tenants/acme", {"api_key": PLANTED})
        yield server


def over_tls(server: VaultServer, **tls: Any) -> dict[str, Any]:
    auth = {"token": {"literal": server.root_token}}
    return {"vault": {"address": server.url, "auth": auth, "tls": tls}}


def test_a_private_authority_is_trusted_where_it_is_named(
    secure: VaultServer, opened: Callable[..., Bench], tmp_path: Path
) -> None:
    """`tls.ca` makes a private certificate trusted, `verify: false` any."""
    assert PLANTED == opened(over_tls(secure, ca=str(tmp_path / "ca.pem"))).value(ACME)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # urllib3 warns at every request, as it should
        assert PLANTED == opened(over_tls(secure, verify=False)).value(ACME)


def test_an_unknown_authority_is_not_trusted(
    secure: VaultServer, opened: Callable[..., Bench], tmp_path: Path
) -> None:
    """Without `tls.ca` nothing is sent, and the error says what to write."""
    error = opened(over_tls(secure)).error(ACME)
    assert Failure.TRANSIENT is error.failure
    assert "its certificate is not trusted" in str(error)
    assert "tls: {ca: PATH}" in error.hint
    assert () == secure.requests
    missing = opened(over_tls(secure, ca=str(tmp_path / "absent.pem"))).error(ACME)
    assert "its CA file cannot be read" in str(missing)


# -- the environment ------------------------------------------------------------------------------


def test_no_variable_leads_elsewhere(
    vault: VaultServer, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxies, `.netrc`, CA bundles and Vault's own variables do not reach the source."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{unused.getsockname()[1]}"
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "VAULT_ADDR"):
        monkeypatch.setenv(name, nowhere)
        monkeypatch.setenv(name.lower(), nowhere)
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login planted password planted\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".vault-token").write_text(vault.root_token)
    monkeypatch.setenv("VAULT_TOKEN", vault.root_token)
    monkeypatch.setenv("VAULT_NAMESPACE", "elsewhere")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/absent.pem")
    monkeypatch.setattr(hvac.v1, "VAULT_CLIENT_CERT", "/absent.pem")
    assert PLANTED == bench.value(ACME)
    login, read = vault.requests
    assert ("none", "") == (login.caller, login.namespace)
    assert read.caller not in ("root", "none", "unknown")


def test_a_client_certificate_of_the_environment_is_not_shown(
    secure: VaultServer,
    opened: Callable[..., Bench],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """VAULT_CLIENT_CERT, which hvac would present, is not even opened."""
    monkeypatch.setattr(hvac.v1, "VAULT_CLIENT_CERT", "/absent.pem")
    bench = opened(over_tls(secure, ca=str(tmp_path / "ca.pem")))
    assert PLANTED == bench.value(ACME)


# -- forks ----------------------------------------------------------------------------------------


def test_children_do_not_read_each_others_replies(vault: VaultServer, bench: Bench) -> None:
    """Children that were forked with an open connection read their own tenants' secrets."""
    bench.fetch(ACME)
    for number in range(4):
        vault.put(f"tenants/{number}", {"api_key": f"key-{number}"})
    children = [forked(functools.partial(read, bench, number)) for number in range(4)]
    assert [0] * 4 == joined(*children)
    assert PLANTED == bench.value(ACME)


def read(bench: Bench, number: int) -> None:
    said = {"vault": f"tenants/{number}"}
    assert {f"key-{number}"} == {bench.value(said) for _ in range(20)}


def test_the_parents_connections_are_left_alone(bench: Bench) -> None:
    """After a fork the source opens its own, and neither uses nor closes those it inherited."""
    bench.fetch(ACME)
    source = source_of(bench)
    before = source._http
    source.after_fork()
    assert PLANTED == bench.value(ACME)
    assert ([before], False) == (source._inherited, source._http is before)
