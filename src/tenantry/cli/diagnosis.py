"""What `tenantry doctor` looks at, from the configuration to the clocks of others."""

from __future__ import annotations

import importlib.metadata
import inspect
import os
import platform
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tenantry.cli.findings import findings
from tenantry.cli.fresh import Fresh, opening_of
from tenantry.cli.terminal import counted
from tenantry.errors import CatalogUnavailableError, ConfigError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.cli.addresses import Visit
    from tenantry.cli.terminal import Terminal
    from tenantry.errors import TenantryError
    from tenantry.opening import Opening

SKEW = 60.0  # seconds; tokens and signatures are refused soon after
ENDS_SOON = 14.0  # days

# Packages beside the SDK, and what they are for.
PACKAGES = {
    "hvac": "Vault",
    "azure-identity": "Entra ID and Key Vault",
    "botocore": "AWS Secrets Manager",
    "google-auth": "Google Secret Manager",
    "websockets": "the Realtime API",
    "aiohttp": "`http: aiohttp`",
}
# Settings that only newer SDKs know.
SETTINGS = ("admin_api_key", "data_residency", "workload_identity", "websocket_base_url")
# What other programs take their authorities from.
VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `mark` is ok, warn or FAIL, `step` what to do about it."""

    mark: str
    subject: str
    told: str
    step: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"mark": self.mark.lower(), "step": self.step or None}


def diagnosis(terminal: Terminal, timeout: float) -> Iterator[Finding]:
    """Look at one thing after another, and say at once what is found.

    Args:
        terminal: knows where the configuration is.
        timeout: seconds for each address.
    """
    opening = opening_of(terminal)
    yield from _configuration(opening)
    yield from _versions()
    yield from _trust()
    try:
        read = Fresh(opening)
    except ConfigError:
        return  # which was told
    with read:
        yield from _others(read, timeout)


def _others(read: Fresh, timeout: float) -> Iterator[Finding]:
    try:
        tenants = len(read.catalog.names())
        yield from _sources(read)
        yield from _addresses(read, timeout)
    except CatalogUnavailableError as error:
        yield Finding("FAIL", "catalog", error.reason, "look whether the database runs")
        return
    except ConfigError as error:  # it has no tables, or those of another version
        problem = error.problems[0]
        yield Finding("FAIL", "catalog", problem.message, problem.hint)
        return
    if read.configuration.engine is not None:
        yield Finding("ok", "catalog", counted(tenants, "tenant"))


def _configuration(opening: Opening) -> Iterator[Finding]:
    step = "tenantry check"
    try:
        found = findings(opening, strict=False)
    except ConfigError as error:
        told = f"{error.problems[0]}".splitlines()[0]
        yield Finding("FAIL", "configuration", told, "name it with --config or TENANTRY_CONFIG")
        return
    tenants = "tenants in a database" if found.tenants is None else counted(found.tenants, "tenant")
    if found.problems:
        yield Finding("FAIL", "configuration", counted(len(found.problems), "problem"), step)
    elif found.warnings:
        told = f"{tenants}, {counted(len(found.warnings), 'warning')}"
        yield Finding("warn", "configuration", told, step)
    else:
        yield Finding("ok", "configuration", f"{tenants}, no problems")


# -- this process ---------------------------------------------------------------------------------


def _versions() -> Iterator[Finding]:
    from tenantry.clients.http import httpx
    from tenantry.clients.sealed import SealedOpenAI

    family = httpx.__name__
    tenantry, openai, http = map(importlib.metadata.version, ("tenantry", "openai", family))
    yield Finding("ok", "tenantry", f"{tenantry}, on Python {platform.python_version()}")
    missing = [setting for setting in SETTINGS if not _takes(SealedOpenAI, setting)]
    without = f"; does not know {', '.join(missing)}" if missing else "; knows every setting"
    yield Finding("ok", "openai", f"{openai}, over {family} {http}{without}")
    installed = {name: _version(name) for name in PACKAGES}
    told = ", ".join(f"{name} {version}" for name, version in installed.items() if version)
    yield Finding("ok", "packages", told or "none")
    lacking = [f"{name} ({PACKAGES[name]})" for name, version in installed.items() if not version]
    if lacking:
        yield Finding("ok", "not installed", ", ".join(lacking))


def _takes(kind: type, setting: str) -> bool:
    bases = (base for base in kind.__mro__ if base is not object)
    return any(setting in inspect.signature(base).parameters for base in bases)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _trust() -> Iterator[Finding]:
    from tenantry.clients.http import ssl_context
    from tenantry.settings import TlsSettings

    known = ssl_context(TlsSettings()).cert_store_stats()["x509_ca"]
    yield Finding("ok", "TLS", f"trusts {known} authorities, where `tls.ca` names no others")
    said = [name for name in VARIABLES if os.environ.get(name)]
    if said:
        told = f"tenants' connections do not heed {', '.join(said)}"
        yield Finding("warn", "TLS", told, "say `tls: {ca: FILE}` where theirs are needed")


# -- others ---------------------------------------------------------------------------------------


def _sources(read: Fresh) -> Iterator[Finding]:
    ready = read.registry().ready()
    for name, error in ready.items():
        if error is None:
            yield Finding("ok", f"source {name}", "reachable, and logged in")
        else:
            yield Finding("FAIL", f"source {name}", *_fault(name, error))
    for name in read.configuration.sources:
        if name not in ready:
            yield Finding("warn", f"source {name}", "declared, and no tenant uses it")


def _fault(source: str, error: TenantryError) -> tuple[str, str]:
    cause = error.__cause__
    if isinstance(cause, SourceError):
        return cause.reason, cause.hint or f"look at `sources.{source}`, and at its own log"
    return str(error), "tenantry ping"


def _addresses(read: Fresh, timeout: float) -> Iterator[Finding]:
    from tenantry.cli.addresses import addresses_of, visits

    found = addresses_of(read)
    for visit in visits(found.reached, timeout):
        yield from _visited(visit)
    if found.behind_proxies:
        told = f"not looked at: {counted(found.behind_proxies, 'address')} behind them"
        yield Finding("warn", "proxies", told, "tenantry ping")


def _visited(visit: Visit) -> Iterator[Finding]:
    origin = visit.address.origin
    if visit.fault:
        yield Finding("FAIL", origin, visit.fault, visit.step)
        return
    mark, told, step = "ok", ["reachable"], ""
    if visit.days_left is not None:
        told.append(f"its certificate ends in {visit.days_left:.0f} days")
        if visit.days_left < ENDS_SOON:
            mark, step = "warn", "whoever runs it has to renew it"
    if visit.skew is not None:
        told.append(f"clocks differ by {visit.skew:.0f} s")
        if visit.skew > SKEW:
            mark, step = "FAIL", "set the clock of this machine: tokens are refused by their times"
    yield Finding(mark, origin, ", ".join(told), step)
