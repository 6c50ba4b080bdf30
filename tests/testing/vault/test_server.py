from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import hvac
import pytest
import requests

from tenantry.testing.certificates import CertificateAuthority
from tenantry.testing.vault import VaultServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_it_comes_up_ready(vault: VaultServer, root: Any) -> None:
    """A new server is unsealed, knows its root token, and has KV 2 at secret/."""
    vault.put("t/acme", {"api_key": "sk-1"})

    assert {"api_key": "sk-1"} == root.read("secret/data/t/acme")["data"]["data"]


def test_it_keeps_data_and_port_over_a_restart(connect: Callable[..., Any]) -> None:
    """A stopped server is started again where clients look for it."""
    vault = VaultServer()
    with vault:
        vault.put("k", {"k": 1})
        url = vault.url
    with vault:
        assert url == vault.url
        assert connect(url, "root").read("secret/data/k")


def test_its_repr_shows_no_secret(connect: Callable[..., Any]) -> None:
    """The repr tells where the server is and whether it is sealed."""
    vault = VaultServer(root_token="s.topsecret")
    assert "<VaultServer stopped unsealed>" == repr(vault)

    with vault:
        vault.seal()
        assert f"<VaultServer {vault.url} sealed>" == repr(vault)
    assert "s.topsecret" not in repr(vault._state)
    assert vault.unseal_key not in repr(vault._state)


def test_sealing_stops_everything_until_unsealed(vault: VaultServer, root: Any) -> None:
    """A sealed server answers 503, and nothing is lost."""
    vault.put("k", {"k": 1})
    vault.seal()
    with pytest.raises(hvac.exceptions.VaultDown, match="Vault is sealed"):
        root.read("secret/data/k")

    vault.unseal()
    assert root.read("secret/data/k")


def test_the_next_requests_fail(vault: VaultServer, root: Any) -> None:
    """Failures are for as many requests as told, below the path that was told."""
    vault.put("k", {"k": 1})
    vault.fail_next(500, times=2, path="secret/")
    root.sys.list_policies()
    for _ in range(2):
        with pytest.raises(hvac.exceptions.InternalServerError):
            root.read("secret/data/k")

    assert root.read("secret/data/k")
    assert 2 == vault.count("read", status=500)


def test_requests_wait(vault: VaultServer, connect: Callable[..., Any]) -> None:
    """A slow server outlasts a client's patience, and others while it waits."""
    vault.put("k", {"k": 1})
    vault.slow(30, times=1, path="secret/")
    with pytest.raises(requests.exceptions.ReadTimeout):
        connect(vault.url, "root", timeout=0.2).read("secret/data/k")

    assert connect(vault.url, "root").read("secret/data/k")


def test_tls_is_verified(tmp_path: Path, connect: Callable[..., Any]) -> None:
    """With a certificate the server speaks https, to clients that trust its authority."""
    authority = CertificateAuthority(tmp_path)
    with VaultServer(certificate=authority.server()) as vault:
        trusting = connect(vault.url, "root", verify=str(authority.ca_file))
        assert trusting.sys.list_policies()
        with pytest.raises(requests.exceptions.SSLError):
            connect(vault.url, "root").sys.list_policies()


def test_controls_work_from_many_threads(vault: VaultServer, connect: Callable[..., Any]) -> None:
    """Writers and readers at once lose no version and no record."""

    def write() -> None:
        client = connect(vault.url, "root")
        for _ in range(10):
            vault.put("k", {"k": 1})
            client.read("secret/data/k")

    threads = [threading.Thread(target=write) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert 81 == vault.put("k", {"k": 1})
    assert 80 == vault.count("read", status=200)
    assert 80 == len({each.sequence for each in vault.requests})
