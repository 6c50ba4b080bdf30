from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenantry.errors import ConfigError
from tenantry.loading import Configuration, load
from tenantry.loading.files import Contents, File, Found
from tenantry.loading.yaml import MAX_NODES
from tenantry.sources import kinds

FILE = Path("tenantry.yaml")
KINDS = kinds()
SAMPLE = Path(__file__).parents[2].joinpath("config/tenants.yaml").read_bytes()
TENANT = b"tenants:\n  acme:\n    api_key: {env: KEY}\n    "
PIECES = [
    "a",
    "b",
    ":",
    "-",
    ",",
    "[",
    "]",
    "{",
    "}",
    "&",
    "*",
    "!",
    "|",
    ">",
    "'",
    '"',
    "%",
    "@",
    "#",
    "\t",
    "\n",
    "\r",
    "\x00",
    "${X}",
    "${",
    "{tenant}",
    "{labels.x}",
    "&a",
    "*a",
    "<<",
    ":",
    "?",
    "~",
    "null",
    "true",
    "0x1f",
    "1e999999",
    ".inf",
    "-.nan",
    "0777",
    "2024-01-01",
    "\ufeff",
    "\x85",
    "\ud7ff",
    "😀",
]


patiently = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def answer(content: bytes, **environ: str) -> Configuration | ConfigError:
    contents = Contents((Found(FILE, (File(FILE, content),)),))
    try:
        return load(FILE, environ=environ, kinds=KINDS, contents=contents)
    except ConfigError as error:
        shown(error)
        return error


def shown(error: ConfigError) -> None:
    """What an error says is made only when it is shown."""
    assert str(error)


def refused(content: bytes) -> str:
    """Return what the first problem says, and check that it says where."""
    error = answer(content)
    assert isinstance(error, ConfigError)
    assert error.problems[0].site is not None
    assert error.problems[0].site.line
    return error.problems[0].message


@patiently
@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    """Whatever the bytes of a file are, the answer is a configuration or a ConfigError."""
    answer(content)
    answer(TENANT + content)


@patiently
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_any_yaml(text: str) -> None:
    """Whatever is made of YAML's own signs is answered, at the top and within a tenant."""
    answer(text.encode(), X="x")
    answer(TENANT + text.encode(), X="x")


@patiently
@given(
    st.integers(0, len(SAMPLE) - 1),
    st.integers(0, 40),
    st.lists(st.sampled_from(PIECES)).map("".join),
)
def test_mutations(at: int, length: int, put: str) -> None:
    """A valid file with anything in place of some of its bytes is answered."""
    answer(SAMPLE[:at] + put.encode() + SAMPLE[at + length :], VAULT_ADDR="https://vault.example")


@patiently
@given(st.integers(0, len(SAMPLE)))
def test_truncations(end: int) -> None:
    """A file that was cut off anywhere is answered."""
    answer(SAMPLE[:end])


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
KEYS = st.sampled_from(
    [
        "provider",
        "enabled",
        "labels",
        "api_key",
        "base_url",
        "timeout",
        "pool",
        "profile",
        "tls",
        "endpoints",
        "default_headers",
        "max_retries",
        "rotated_at",
        "refresh",
        "proxy",
        "http",
    ]
)


@patiently
@given(st.dictionaries(KEYS, ANYTHING, max_size=4))
def test_any_values(said: dict[str, Any]) -> None:
    """Whatever value stands at a key that is known, in a file or a row, is answered."""
    for place in ("defaults", "profiles", "tenants"):
        whole = said if place == "defaults" else {"acme": said}
        answer(json.dumps({"tenants": {"acme": None}, place: whole}).encode())
    configuration = answer(b"tenants: {acme: {api_key: {env: KEY}}}")
    assert isinstance(configuration, Configuration)
    try:
        configuration.rows.read("globex", said, "row")
    except ConfigError as error:
        shown(error)


@patiently
@given(
    st.text(st.characters(exclude_characters="\x00=")),
    st.text(st.characters(exclude_characters="\x00")),
)
def test_any_variable(name: str, value: str) -> None:
    """Whatever a variable is called and holds, lone surrogates too, is answered."""
    for top in ("", "TENANTS__ACME__", "DEFAULTS__", "SOURCES__VAULT__"):
        answer(TENANT, **{f"TENANTRY_{top}{name}": value})
    answer(TENANT + b"project: '${X}'", X=value)


@pytest.mark.parametrize("number", ["1e999999", "-1e999999", "9" * 400, "0x" + "f" * 400, ".inf"])
def test_huge_numbers(number: str) -> None:
    """A number that nothing can hold is a mistake, not a crash."""
    assert isinstance(answer(TENANT + f"timeout: {number}".encode()), ConfigError)
    for key in ("max_retries", "rotated_at", "project", "labels"):
        answer(TENANT + f"{key}: {number}".encode())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_other_encodings(encoding: str) -> None:
    """A file in another encoding than UTF-8 is refused, and told where."""
    told = refused('tenants: {acme: {api_key: {env: KEY}, project: "ä"}}'.encode(encoding))

    assert "UTF-8" in told or "not YAML" in told


@pytest.mark.parametrize("zero", [b"\x00", b"a: \x00", b"a: b\n\x00"])
def test_zero_bytes(zero: bytes) -> None:
    """A zero byte is not YAML, and told where."""
    assert "not YAML: control characters are not allowed" == refused(zero)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[{a: "])
def test_deep_nesting(opening: str) -> None:
    """A file of openings alone takes no more stack than it is allowed."""
    assert "nested deeper than 64 levels, aliases followed" == refused(opening.encode() * 100_000)


@pytest.mark.parametrize("kind", ["[{}]", "{{<<: [{}]}}"])
def test_alias_bomb(kind: str) -> None:
    """A few lines of aliases do not become more values than a file may hold."""
    first = "{x: 1}"
    lines = [f"x0: &a0 {first}"]
    lines += [
        f"x{n}: &a{n} "
        + kind.format(", ".join([f"*a{n - 1}"] * 20)).replace("{{", "{").replace("}}", "}")
        for n in range(1, 30)
    ]

    assert f"more than {MAX_NODES} values once aliases are followed" == refused(
        "\n".join(lines).encode()
    )


def test_alias_to_itself() -> None:
    """An anchor that stands within itself is not known yet, and no circle arises."""
    assert "no anchor of this name (not shown) stands before the alias" == refused(b"x-a: &a [*a]")


def test_huge_scalar() -> None:
    """A text of megabytes is a text."""
    content = TENANT + b"project: " + b"x" * 5_000_000

    assert isinstance(answer(content), Configuration)
