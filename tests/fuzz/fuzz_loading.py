"""Feed anything to the loader: it answers with a configuration or a ConfigError.

Not collected by pytest. With atheris (Python 3.11) and tenantry installed:

    python tests/fuzz/fuzz_loading.py -max_total_time=600 -timeout=10 -max_len=4096 CORPUS config
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]  # not one of our tools

with atheris.instrument_imports(include=["tenantry.loading", "tenantry.settings"]):
    from tenantry.errors import ConfigError
    from tenantry.loading import load
    from tenantry.loading.files import Contents, File, Found
    from tenantry.loading.values import Sited
    from tenantry.loading.yaml import read_yaml
    from tenantry.sources import kinds

KINDS = kinds()
FILE = Path("fuzz.yaml")
AROUND = b"""\
sources: {vault: {address: "https://vault.example", auth: {token: {env: T}}}}
allow: {origins: ["https://*.example"], secrets: {vault: ["tenants/{tenant}"], env: ["KEY_*"]}}
defaults: {api_key: {vault: "tenants/{tenant}"}, timeout: 5}
profiles: {p: {base_url: "https://a.example"}, azure: {provider: azure, api_version: x}}
tenants:
  acme:
"""


def whole_file(data: bytes) -> None:
    contents = Contents((Found(FILE, (File(FILE, data),)),))
    configuration = load(FILE, environ={"V": "1"}, kinds=KINDS, contents=contents)
    for problems in configuration.quarantined.values():
        str(ConfigError(*problems))


def one_tenant(data: bytes) -> None:
    whole_file(AROUND + b"".join(b"    " + line for line in data.splitlines(keepends=True)))


def one_variable(data: bytes) -> None:
    name, _, value = data.decode(errors="surrogateescape").partition("=")
    load({"tenants": {"acme": None}}, environ={f"TENANTRY_{name}": value}, kinds=KINDS)


def one_row(data: bytes) -> None:
    contents = Contents((Found(FILE, (File(FILE, AROUND),)),))
    configuration = load(FILE, environ={}, kinds=KINDS, contents=contents)
    row = read_yaml(data.decode(errors="replace"), "row", [])
    configuration.rows.read("globex", row if isinstance(row, Sited) else {"x": row}, "row")


WAYS = (whole_file, one_tenant, one_variable, one_row)


def answer(data: bytes) -> None:
    try:
        WAYS[data[0] % len(WAYS) if data else 0](data[1:])
    except ConfigError as error:
        str(error)  # what is shown is made only now


if __name__ == "__main__":
    atheris.Setup(sys.argv, answer)
    atheris.Fuzz()
