"""What `tenantry doctor` finds, and what it says to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tenantry.cli import diagnosis as looked_at
from tenantry.cli.addresses import Address, Visit
from tenantry.cli.diagnosis import Finding, diagnosis
from tenantry.cli.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.testing import OpenAIServer, VaultServer


@pytest.fixture
def diagnosed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], dict[str, Finding]]:
    """Diagnose a configuration; gives what was found by its subject, the last of each."""
    for name in looked_at.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def diagnose(text: str) -> dict[str, Finding]:
        Path("tenants.yaml").write_text(text)
        found = diagnosis(Terminal(config=("tenants.yaml",)), 5.0)
        return {finding.subject: finding for finding in found}

    return diagnose


def tenants(openai: OpenAIServer, *more: str) -> str:
    said = f'  acme: {{base_url: "{openai.base_url}", api_key: {{literal: made-up}}}}'
    return "\n".join([*more, "tenants:", said])


def test_all_is_well(
    diagnosed: Callable[[str], dict[str, Finding]], openai_server: OpenAIServer
) -> None:
    """Versions, trust and addresses are told; the SDK with the library that it speaks."""
    found = diagnosed(tenants(openai_server))

    assert {"ok", "warn"} == {each.mark for each in found.values()}  # the literal
    assert found["openai"].told.partition(", over ")[2].startswith("httpx")
    assert "trusts " in found["TLS"].told
    assert found[openai_server.base_url.removesuffix("/v1")].told.startswith("reachable")


def test_a_source_that_refuses(
    diagnosed: Callable[[str], dict[str, Finding]],
    openai_server: OpenAIServer,
    vault_server: VaultServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A source that cannot be logged in to says why and what to do, one nobody uses that it is."""
    monkeypatch.setenv("VAULT_TOKEN", "made-up")
    login = f"address: {vault_server.url}, auth: {{token: {{env: VAULT_TOKEN}}}}"
    source = f"sources: {{vault: {{{login}}}, unused: {{type: vault, {login}}}}}"
    defaults = 'defaults: {admin_api_key: {vault: "tenants/{tenant}"}}'
    found = diagnosed(tenants(openai_server, source, defaults))

    assert "FAIL" == found["source vault"].mark
    assert found["source vault"].step
    assert "made-up" not in str(found)
    assert ("warn", "declared, and no tenant uses it") == (
        found["source unused"].mark,
        found["source unused"].told,
    )


def test_other_peoples_variables(
    diagnosed: Callable[[str], dict[str, Finding]],
    openai_server: OpenAIServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Variables that other programs take their trust from are named, for they do nothing here."""
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/ca.pem")
    found = diagnosed(tenants(openai_server))

    assert "warn" == found["TLS"].mark
    assert "SSL_CERT_FILE" in found["TLS"].told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tenants: {acme: {api_key: {env: K}}, stark: {tmeout: 1}}", "2 problems"),
        ("tenant: {}\ntenants: {acme: {api_key: {env: K}}}", "1 problem"),
    ],
)
def test_a_configuration_with_problems(
    diagnosed: Callable[[str], dict[str, Finding]],
    text: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Problems are counted, and left to `check`; what can be looked at is."""
    monkeypatch.setattr(looked_at, "_addresses", lambda *_: iter(()))
    found = diagnosed(text)

    assert (told, "tenantry check") == (found["configuration"].told, found["configuration"].step)
    assert "openai" in found


def test_no_configuration(tmp_path: Path) -> None:
    """Without a configuration there is still something to say of this process."""
    found = list(diagnosis(Terminal(config=(str(tmp_path / "none.yaml"),)), 5.0))

    assert "name it with --config or TENANTRY_CONFIG" == found[0].step
    assert "TLS" in [finding.subject for finding in found]


def test_behind_a_proxy(diagnosed: Callable[[str], dict[str, Finding]]) -> None:
    """What is behind a proxy is not asked: only a tenant's own requests go there."""
    proxied = "{api_key: {env: K}, proxy: {url: 'http://127.0.0.1:1'}}"
    found = diagnosed(f"tenants: {{acme: {proxied}}}")

    assert ("warn", "tenantry ping") == (found["proxies"].mark, found["proxies"].step)


def test_a_database_that_is_away(diagnosed: Callable[[str], dict[str, Finding]]) -> None:
    """Where the tenants cannot be read, the database is what is wrong."""
    found = diagnosed("catalog: {sqlite: {path: no/such/tenants.db}}\nallow: {secrets: {}}")

    assert "FAIL" == found["catalog"].mark
    assert found["catalog"].step


HERE = Address("https://here.example")


@pytest.mark.parametrize(
    ("visit", "mark", "told"),
    [
        (Visit(HERE, "cannot be reached", "look"), "FAIL", "cannot be reached"),
        (Visit(HERE), "ok", "reachable"),
        (Visit(HERE, days_left=80.0), "ok", "reachable, its certificate ends in 80 days"),
        (Visit(HERE, days_left=3.0), "warn", "reachable, its certificate ends in 3 days"),
        (Visit(HERE, skew=2.0), "ok", "reachable, clocks differ by 2 s"),
        (Visit(HERE, days_left=3.0, skew=600.0), "FAIL", "clocks differ by 600 s"),
    ],
)
def test_what_a_visit_says(visit: Visit, mark: str, told: str) -> None:
    """A certificate that ends soon is a warning; clocks that differ by minutes are a fault."""
    [finding] = looked_at._visited(visit)

    assert (mark, True) == (finding.mark, finding.told.endswith(told))
    assert (mark == "ok") == (finding.step == "")
