"""What a tenant takes from the SDK's own variables, where it says `inherit_environment`."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import SecretStr

from tenantry.errors import Site
from tenantry.loading.values import Sited, sited

if TYPE_CHECKING:
    from collections.abc import Mapping

_INHERITED = {
    "openai": {"OPENAI_API_KEY": "api_key", "OPENAI_BASE_URL": "base_url"},
    "azure": {
        "AZURE_OPENAI_API_KEY": "api_key",
        "AZURE_OPENAI_AD_TOKEN": "azure_ad_token",
        "AZURE_OPENAI_ENDPOINT": "azure_endpoint",
        "OPENAI_API_VERSION": "api_version",
    },
}
_INHERITED_ALWAYS = {
    "OPENAI_ADMIN_KEY": "admin_api_key",
    "OPENAI_ORG_ID": "organization",
    "OPENAI_PROJECT_ID": "project",
    "OPENAI_WEBHOOK_SECRET": "webhook_secret",
}
_SECRET_KEYS = frozenset({"api_key", "azure_ad_token", "admin_api_key", "webhook_secret"})
_TRUST = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # the first that is set counts
_DEFAULT_PORTS = {"http": 80, "https": 443}


def inherited(environ: Mapping[str, str], provider: str) -> Sited:
    """Return the layer that the SDK's own variables make; secrets become `{env: NAME}`."""
    layer = Sited(Site("environment"))
    names = {**_INHERITED_ALWAYS, **_INHERITED[provider]}
    if provider == "azure" and environ.get("AZURE_OPENAI_AD_TOKEN"):
        names.pop("AZURE_OPENAI_API_KEY")  # the SDK's own precedence
    for variable, key in names.items():
        if environ.get(variable):
            site = Site(f"env {variable}")
            secret = sited({"env": variable}, site)
            layer.put(key, secret if key in _SECRET_KEYS else environ[variable], site)
    headers = environ.get("OPENAI_CUSTOM_HEADERS")
    if headers:
        site = Site("env OPENAI_CUSTOM_HEADERS")
        pairs = (line.partition(":") for line in headers.split("\n") if ":" in line)
        layer.put("default_headers", sited({k.strip(): v.strip() for k, _, v in pairs}, site), site)
    return layer


def inherited_connection(environ: Mapping[str, str], merged: Mapping[str, object]) -> Sited:
    """Return the layer that the http library's own variables make: `proxy` and `tls.ca`.

    A tenant speaks to one address, so which proxy is meant, and whether NO_PROXY exempts the
    tenant from it, is known beforehand.

    Args:
        environ: the one environment of the registry.
        merged: what the tenant says so far; its address counts.
    """
    layer = Sited(Site("environment"))
    trust = next((name for name in _TRUST if environ.get(name)), None)
    if trust is not None:
        site = Site(f"env {trust}")
        layer.put("tls", sited({"ca": environ[trust]}, site), site)
    address = _parts(_address(merged))
    variables = _proxy_variables(environ)
    variable = None if address is None else variables.get(address.scheme, variables.get("all"))
    no_proxy = environ.get(variables.get("no", ""), "")
    if variable is not None and address is not None and not _exempt(address, no_proxy):
        site = Site(f"env {variable}")
        layer.put("proxy", sited(_proxy(environ[variable]), site), site)
    return layer


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    return None if port == 0 else parts


def _address(merged: Mapping[str, object]) -> str:
    region = merged.get("data_residency")
    if region not in (None, "global"):
        return f"https://{region}.api.openai.com"
    return str(merged.get("azure_endpoint") or merged.get("base_url") or "https://api.openai.com")


def _proxy_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return which variable speaks of `http`, `https`, `all` and `no`; lower case is nearer."""
    found: dict[str, str] = {}
    for name in environ:
        if name.lower().endswith("_proxy") and environ[name]:
            found[name.lower().removesuffix("_proxy")] = name
    if "REQUEST_METHOD" in environ:
        found.pop("http", None)  # a CGI script has it of whoever sends a `Proxy` header
    for name in environ:
        if name.endswith("_proxy"):  # an empty one takes away what upper case says
            found.pop(name.lower().removesuffix("_proxy"), None)
            if environ[name]:
                found[name.lower().removesuffix("_proxy")] = name
    return found


def _proxy(said: str) -> dict[str, object]:
    """Take a proxy's URL apart, so that the password in it stands by itself and is not shown."""
    parts = _parts(said if "://" in said else f"http://{said}")
    if parts is None:
        return {"url": ""}  # which settings call what it is, without showing it
    user, at, host = parts.netloc.rpartition("@")
    url = parts._replace(netloc=host, path=parts.path.rstrip("/")).geturl()
    if not at:
        return {"url": url}
    username, _, password = (unquote(each) for each in user.partition(":"))
    if not password:
        return {"url": url, "username": username}
    return {"url": url, "username": username, "password": SecretStr(password)}


def _exempt(address: SplitResult, no_proxy: str) -> bool:
    """Whether NO_PROXY names an address, as httpx reads it; port 443 is meant by no number."""
    entries = [entry.strip().lower() for entry in no_proxy.split(",")]
    return "*" in entries or any(_names(entry, address) for entry in entries if entry)


def _names(entry: str, address: SplitResult) -> bool:
    scheme, is_url, named = entry.rpartition("://")
    if scheme not in ("", "all", address.scheme):
        return False
    host = address.hostname or ""
    network = _network(named)
    if network is not None:
        return _is_within(host, network)
    parts = _parts(f"{scheme or 'all'}://{named}")
    if parts is None or parts.path or _port(parts) not in (None, _port(address)):
        return False
    return _fits(host, parts.hostname or "", exactly=bool(is_url) or named == "localhost")


def _fits(host: str, pattern: str, *, exactly: bool) -> bool:
    """`example.com` means what is below it, too; `.example.com` and `*.example.com` only that."""
    if not pattern:
        return True
    if pattern.startswith((".", "*.")):
        return host.endswith(pattern.lstrip("*"))
    return host == pattern or (not exactly and host.endswith(f".{pattern}"))


def _port(parts: SplitResult) -> int | None:
    return None if parts.port == _DEFAULT_PORTS.get(parts.scheme) else parts.port


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None


def _is_within(host: str, network: IPv4Network | IPv6Network) -> bool:
    alone = _network(host)
    return alone is not None and alone.network_address in network
