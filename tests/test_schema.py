from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from jsonschema import Draft202012Validator
from pydantic import Field

from tenantry.loading.yaml import read_yaml
from tenantry.schema import schema
from tenantry.settings import ReferenceOptions, Settings, SourceSettings, TenantSettings
from tenantry.sources import SourceKind, kinds
from tenantry.sources.first_of import FirstOfSource

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "config"
SCHEMA = schema(kinds())
BLOCKS = re.findall(
    r"^```yaml\n(.*?)^```", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE | re.DOTALL
)


def faults(text: str) -> list[str]:
    """Return what an editor would underline in a file."""
    document = read_yaml(text, "t.yaml", [])
    return [error.json_path for error in Draft202012Validator(SCHEMA).iter_errors(document)]


def said_of_acme(said: str) -> str:
    return f"tenants: {{acme: {said}}}"


def properties(found: Any) -> Iterator[tuple[str, Any]]:
    """Return every property that stands anywhere in a schema."""
    if isinstance(found, dict):
        yield from found.get("properties", {}).items()
        for each in found.values():
            yield from properties(each)
    elif isinstance(found, list):
        for each in found:
            yield from properties(each)


def test_it_is_a_schema() -> None:
    """It is valid by its own draft."""
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == Draft202012Validator.META_SCHEMA["$schema"]


def test_the_file_is_what_the_code_makes() -> None:
    """`config/tenantry.schema.json` is made again whenever a setting changes."""
    assert json.loads((CONFIG / "tenantry.schema.json").read_text()) == SCHEMA


def test_every_key_is_there() -> None:
    """What the models know, a file may say; what only a tenant may say, no layer may."""
    keys = {"profile", *TenantSettings.model_fields}

    assert set(Settings.model_fields) == set(SCHEMA["properties"])
    assert {*keys, "endpoints"} == set(SCHEMA["$defs"]["tenant"]["properties"])
    assert keys - {"inherit_environment"} == set(SCHEMA["$defs"]["layer"]["properties"])


def test_every_key_is_described() -> None:
    """An editor has something to show for every key, wherever it stands."""
    undescribed = [
        name
        for name, found in properties(SCHEMA)
        if not found.get("description") and found.keys() != {"const"}
    ]

    assert [] == undescribed


def test_every_definition_is_used() -> None:
    """No definition is left over, and none is missing."""
    used = set(re.findall(r"#/\$defs/(\w+)", json.dumps(SCHEMA)))

    assert set(SCHEMA["$defs"]) == used


@pytest.mark.parametrize("file", sorted(CONFIG.rglob("*.yaml")), ids=lambda file: file.name)
def test_samples(file: Path) -> None:
    """The samples are right, and name the schema where an editor looks for it."""
    text = file.read_text()
    [place] = re.findall(r"^# yaml-language-server: \$schema=(.+)$", text, re.MULTILINE)

    assert [] == faults(text)
    assert (CONFIG / "tenantry.schema.json").samefile(file.parent / place)


@pytest.mark.parametrize("block", BLOCKS)
def test_documentation(block: str) -> None:
    """Every file that the documentation shows is right."""
    assert [] == faults(block)


def test_there_is_documentation() -> None:
    """Blocks are found, so that the test above tests something."""
    assert len(BLOCKS) > 5


@pytest.mark.parametrize(
    "said",
    [
        "",
        "{timeout: 30}",
        "{timeout: 30s}",
        "{timeout: {connect: 250ms, read: null}}",
        "{timeout: null, pool: {max_connections: null}, tls: {verify: null}, labels: {a: null}}",
        "{proxy: 'http://proxy.example:3128'}",
        "{proxy: {url: 'http://proxy.example:3128', username: a, password: {env: P}}}",
        "{api_key: {env: {name: KEY, field: x, refresh: {every: 1m}}}}",
        "{api_key: {first_of: [{env: A}, {mine: b}]}}",
        "{api_key: {first_of: {members: [{file: A}]}}}",
        "{api_key: {command: [print-key, '-n']}}",
        "{api_key: {entra: {}}}",
        "{api_key: {gcp_secrets: {name: a, version: 3}}}",
        "{default_headers: {X-A: 5, X-B: {env: B}}, default_query: {n: 1, b: true}}",
        "{max_retries: '${RETRIES}', enabled: '${ENABLED}', http: '${HTTP}', timeout: '${T}'}",
        "{profile: [a, b], endpoints: {us: {base_url: 'https://us.example/v1'}, eu: }}",
        "{base_url: 'https://{labels.region}.example/v1', labels: {region: eu}}",
        "{tls: {certificate: /run/cert.pem, key: {file: /run/key.pem}}}",
    ],
)
def test_what_a_tenant_may_say(said: str) -> None:
    """Shorthands, nulls and `${NAME}` are right where the loader takes them."""
    assert [] == faults(said_of_acme(said))


@pytest.mark.parametrize(
    "said",
    [
        "5",
        "{tmeout: 30}",
        "{timeout: soon}",
        "{timeout: {raed: 5}}",
        "{timeout: -1}",
        "{max_retries: many}",
        "{max_retries: -1}",
        "{enabled: maybe}",
        "{provider: azur}",
        "{organization: {env: ORG}}",
        "{labels: {a: {b: c}}}",
        "{api_key: sk-1}",
        "{api_key: [sk-1]}",
        "{api_key: {env: A, file: B}}",
        "{api_key: {}}",
        "{api_key: {env: {nmae: A}}}",
        "{api_key: {env: }}",
        "{api_key: {file: 5}}",
        "{api_key: {command: print-key}}",
        "{api_key: {vault: {path: a, engine: kv3}}}",
        "{api_key: {first_of: [sk-1]}}",
        "{base_url: api.openai.com}",
        "{base_url: 'https://user:password@x.example'}",
        "{websocket_base_url: 'https://x.example'}",
        "{proxy: {username: a}}",
        "{tls: {verify: nope}}",
        "{profile: {a: b}}",
        "{endpoints: [us]}",
        "{endpoints: {us: {inherit_environment: true}}}",
        "{endpoints: {us: {endpoints: {}}}}",
        "{workload_identity: {identity_provider_id: a}}",
    ],
)
def test_what_a_tenant_may_not_say(said: str) -> None:
    """Unknown keys and wrong types are underlined at the tenant."""
    found = faults(said_of_acme(said))

    assert found
    assert all(each.startswith("$.tenants.acme") for each in found)


@pytest.mark.parametrize(
    "text",
    [
        "x-notes: {anything: [1]}",
        "defaults:\nprofiles:\ntenants:\nsources:",
        "profiles: {empty: , p: {profile: q}}",
        "sources: {aws_secrets: , mine: {type: gcp_secrets, project: p}}",
        "sources: {entra: {auth: workload_identity}, e: {type: entra, auth: {cli: }}}",
        "sources: {vault: {address: '${VAULT}', auth: agent, timeout: {read: 5}}}",
        "registry: {idle_after: null, warm: all, max_removals: 0.5}",
        "refresh: {every: 5m, on_removed: drop}",
        "allow: {origins: ['https://*.x', 'http://[::1]:8'], secrets: {env: ['K_*']}}",
    ],
)
def test_what_a_configuration_may_say(text: str) -> None:
    """Every top-level key is right as the loader takes it."""
    assert [] == faults(text)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("tenents: {}", "$"),
        ("version: 2", "$.version"),
        ("catalog: redis", "$.catalog"),
        ("tenants: [acme]", "$.tenants"),
        ("tenants: {'acme corp': }", "$.tenants"),
        ("defaults: {inherit_environment: true}", "$.defaults"),
        ("defaults: {endpoints: {}}", "$.defaults"),
        ("profiles: {p: {orgnization: x}}", "$.profiles"),
        ("refresh: {evry: 5m}", "$.refresh"),
        ("refresh: {every: null}", "$.refresh.every"),
        ("registry: {max_removals: 2}", "$.registry.max_removals"),
        ("registry: {on_problems: fail}", "$.registry"),
        ("allow: {origins: 'https://x'}", "$.allow.origins"),
        ("allow: {origins: ['https://x/path']}", "$.allow.origins"),
        ("sources: {vault: }", "$.sources"),
        ("sources: {vault: {address: 'https://v', auth: agent, adress: x}}", "$.sources"),
        ("sources: {vault: {address: 'https://v', auth: {}}}", "$.sources"),
        ("sources: {vault: {address: 'https://v', auth: kubernetes}}", "$.sources"),
        ("sources: {mine: {address: 'https://v', auth: agent}}", "$.sources"),
        ("sources: {mine: {type: onepassword}}", "$.sources"),
        ("sources: {mine: {type: vault, auth: agent}}", "$.sources"),
    ],
)
def test_what_a_configuration_may_not_say(text: str, path: str) -> None:
    """Unknown keys and wrong types are underlined at, or right above, their place."""
    found = faults(text)

    assert found
    assert all(each.startswith(path) for each in found)


class VaultSettings(SourceSettings):
    """How this process uses one safe."""

    door: str = Field(description="Which door.")


class VaultReference(ReferenceOptions):
    """`{safe: SHELF}`: what lies on a shelf."""

    main: ClassVar[str] = "shelf"

    shelf: int = Field(description="Which shelf.")


def test_sources_of_other_packages() -> None:
    """A kind of another package is there too, even if its models bear the names of others."""
    safe = SourceKind("safe", VaultReference, FirstOfSource, settings=VaultSettings)
    validator = Draft202012Validator(schema({**kinds(), "safe": safe}))
    good = {"safe": {"door": "a"}, "vault": {"address": "https://v", "auth": "agent"}}

    assert validator.is_valid({"sources": good, "defaults": {"api_key": {"safe": 5}}})
    assert not validator.is_valid({"sources": {"safe": {"address": "https://v", "auth": "agent"}}})
    assert not validator.is_valid({"defaults": {"api_key": {"safe": "top"}}})


HEAVY = ("openai", "httpx", "httpx2", "hvac", "azure", "botocore", "google.auth", "requests")


def test_nothing_heavy_is_imported() -> None:
    """The schema is made without the packages that sources and clients speak through."""
    code = (
        "import sys; from tenantry.schema import schema; from tenantry.sources import kinds;"
        f"schema(kinds()); print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()
