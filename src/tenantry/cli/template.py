"""The configuration that `tenantry init` writes."""

from __future__ import annotations

COMMENTS_AT = 44  # columns


def configuration(provider: str, source: str) -> str:
    """Return a commented configuration of one tenant that loads as it is."""
    address = _AZURE if provider == "azure" else ""
    text = _WHOLE.format(
        declared=_DECLARED.get(source, ""),
        allowed=_ALLOWED.get(source, ""),
        origin="https://contoso.openai.azure.com" if address else "https://api.openai.com",
        address=address,
        credential=_CREDENTIALS[source],
    )
    return "".join(map(_aligned, text.splitlines()))


def _aligned(line: str) -> str:
    """Return a line with its comment where all comments stand."""
    said, mark, comment = line.partition("  # ")
    return f"{said.rstrip():{COMMENTS_AT}} # {comment}\n" if mark else f"{line}\n"


_WHOLE = """\
# yaml-language-server: $schema=./tenantry.schema.json
# Who the tenants are, and where their secrets are kept. No secret stands in this file.
{declared}
allow:  # what a tenant's own lines may point at
  origins: ["{origin}"]
{allowed}
defaults:  # what every tenant says, unless it says otherwise
{address}  {credential}
  timeout: {{connect: 5s, read: 10m}}  # parts not named keep the SDK's value
  max_retries: 2

tenants:
  acme:  # empty: everything from defaults
"""

_AZURE = """\
  provider: azure
  azure_endpoint: https://contoso.openai.azure.com
  api_version: "2024-10-21"
"""

_DECLARED = {
    "vault": """
sources:  # how this process logs in
  vault:
    address: "${VAULT_ADDR:-https://vault.example:8200}"
    auth: {kubernetes: {role: tenantry}}  # or approle, jwt, cert, token_file ...
""",
    "entra": """
sources:  # how this process logs in
  entra: {auth: workload_identity}  # its ids come from the platform's AZURE_* variables
""",
}

_ALLOWED = {
    "env": '  secrets: {env: ["KEY_{tenant}"]}\n',
    "file": '  secrets: {file: ["/run/secrets/{tenant}/*"]}\n',
    "vault": '  secrets: {vault: ["tenants/{tenant}"]}\n',
}

_CREDENTIALS = {
    "env": 'api_key: {env: "KEY_{tenant}"}  # a variable, such as KEY_acme',
    "file": 'api_key: {file: "/run/secrets/{tenant}/api_key"}',
    "vault": 'api_key: {vault: "tenants/{tenant}"}  # the field `api_key` of that document',
    "entra": "azure_ad_token_provider: {entra: {}}",
}
