"""What is wrong with a configuration, and what should not stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tenantry.cli.findings import Findings, findings
from tenantry.errors import ConfigError
from tenantry.opening import Opening
from tenantry.sources import kinds

if TYPE_CHECKING:
    from pathlib import Path

VAULT = 'sources: {vault: {address: "https://vault.example", auth: {token_file: /run/token}}}\n'
ORIGINS = 'origins: ["https://api.openai.com"]'


def found(tmp_path: Path, text: str, *, strict: bool = True) -> Findings:
    file = tmp_path / "tenants.yaml"
    file.write_text(text)
    return findings(Opening(file, {}, kinds()), strict=strict)


def warnings(tmp_path: Path, text: str) -> list[str]:
    return [str(each).splitlines()[0].split(": ", 1)[1] for each in found(tmp_path, text).warnings]


def test_a_shared_literal_is_told_once(tmp_path: Path) -> None:
    """What a default says is one line to mend, however many tenants have it; in lists, too."""
    text = (
        "defaults: {api_key: {literal: made-up}}\n"
        "tenants: {acme: , globex: {endpoints: {eu: {}}},\n"
        "  wonka: {api_key: {first_of: [{env: KEY}, {literal: made-up}]}}}\n"
    )
    told = [(each.path, each.site and each.site.line) for each in found(tmp_path, text).warnings]

    assert ("tenants.acme.api_key", 1) in told
    assert ("tenants.wonka.api_key", 3) in told
    assert 2 == len([path for path, _ in told if path.endswith("api_key")])


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("tenants/{tenant}", []),
        ("tenants/{tenant}/*", []),
        ("tenants/*", ["tenants/* lets a tenant name the secrets of others"]),
        ("shared", ["shared lets a tenant name the secrets of others"]),
        (
            "tenants/{tenant}*",
            ["tenants/{tenant}* lets a tenant name those of others whose names are longer"],
        ),
    ],
)
def test_what_is_wider_than_a_tenant(tmp_path: Path, pattern: str, told: list[str]) -> None:
    """A pattern is as wide as the tenants whose secrets fit it."""
    text = (
        f'{VAULT}allow: {{{ORIGINS}, secrets: {{vault: ["{pattern}"]}}}}\n'
        "tenants: {acme: {api_key: {vault: shared}}}"
        if pattern == "shared"
        else f'{VAULT}allow: {{{ORIGINS}, secrets: {{vault: ["{pattern}"]}}}}\n'
        'defaults: {api_key: {vault: "tenants/{tenant}"}}\ntenants: {acme: }'
    )

    assert [f"allow.secrets.vault: {each}" for each in told] == warnings(tmp_path, text)


def test_what_nothing_is_said_of(tmp_path: Path) -> None:
    """Where `allow` says nothing, anything goes; tokens of Entra ID are nobody's own."""
    text = (
        "sources: {entra: {auth: workload_identity}}\n"
        "tenants: {acme: {api_key: {env: KEY}}, globex: {api_key: {entra: {}}}}"
    )
    told = [each.message for each in found(tmp_path, text).warnings]

    assert [
        "a tenant may send its requests anywhere",
        "a tenant may name any secret of env",
    ] == told
    assert () == found(tmp_path, text, strict=False).warnings


def test_problems_within_and_without_tenants(tmp_path: Path) -> None:
    """Both kinds are problems; with one of everybody's there is no count of tenants."""
    own = found(tmp_path, "tenants: {acme: {api_key: {env: K}}, stark: {api_key: 7}}")
    assert (1, 2) == (len(own.problems), own.tenants)
    shared = found(tmp_path, "tenant: {}\ntenants: {acme: {api_key: {env: K}}}")
    assert (1, None) == (len(shared.problems), shared.tenants)


def test_nothing_to_read(tmp_path: Path) -> None:
    """A file that is not there is no finding; a variable is something to read."""
    with pytest.raises(ConfigError, match="no such file"):
        findings(Opening(tmp_path / "none.yaml", {}, kinds()), strict=False)
    variables = {"TENANTRY_TENANTS__ACME__TMEOUT": "3"}
    opening = Opening(None, variables, kinds())
    opening.config = None
    assert findings(opening, strict=True).problems


def test_variables_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they say of `allow` counts as what a file says, and so does what they leave out."""
    monkeypatch.chdir(tmp_path)
    variables = {"TENANTRY_TENANTS__ACME__API_KEY": '{"env": "KEY_ACME"}'}
    seen = findings(Opening(None, variables, kinds()), strict=True)

    assert (1, 2) == (seen.tenants, len(seen.warnings))
    variables["TENANTRY_ALLOW__ORIGINS"] = "[]"
    variables["TENANTRY_ALLOW__SECRETS"] = '{"env": ["KEY_*"]}'
    seen = findings(Opening(None, variables, kinds()), strict=True)
    [wide] = seen.warnings
    assert ("allow.secrets.env", "env TENANTRY_ALLOW__SECRETS") == (
        *(wide.path, wide.site and wide.site.file),
    )


def test_rows_of_an_engine(tmp_path: Path) -> None:
    """To rows of an engine nothing is open that `allow` does not say; what it says counts."""
    engine = "catalog: {sqlite: {path: tenants.db}}\n"
    unsaid = found(tmp_path, engine + "allow: {secrets: {}}")
    assert (None, ()) == (unsaid.tenants, unsaid.warnings)
    assert ["allow.secrets.env: KEY_* lets a tenant name the secrets of others"] == warnings(
        tmp_path, engine + 'allow: {secrets: {env: ["KEY_*"]}}'
    )
