from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tenantry.errors import Problem, Site
from tenantry.loading.values import Sited
from tenantry.loading.yaml import MAX_DEPTH, read_yaml, site_of_byte

if TYPE_CHECKING:
    from collections.abc import Callable


def good(text: str) -> Any:
    problems: list[Problem] = []
    value = read_yaml(text, "f.yaml", problems)
    assert [] == problems
    return value


def bad(text: str, *, expand: Callable[[str, Site], str] | None = None) -> Problem:
    problems: list[Problem] = []
    read_yaml(text, "f.yaml", problems, expand=expand)
    [problem] = problems
    return problem


@pytest.mark.parametrize(
    "text",
    ["no", "Yes", "on", "off", "y", "2024-10-21", "12:30", "1_000", "0b1", ".inf", ".nan", "NaN"],
)
def test_text_of_yaml_1_1(text: str) -> None:
    """What only YAML 1.1 reads as something else stays text."""
    assert text == good(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-12", -12),
        ("+7", 7),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("12345678901234567890123", 12345678901234567890123),
        ("1e3", 1000.0),
        ("-1.5E-2", -0.015),
        (".5", 0.5),
        ("5.", 5.0),
        ("2.54", 2.54),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("|\n  12\n", "12\n"),
        ("-", [None]),
        ("-x", "-x"),
        (".", "."),
    ],
)
def test_core_schema(text: str, value: object) -> None:
    """Plain scalars are those of YAML 1.2's core schema; what is quoted or tagged is text."""
    read = good(text)

    assert (type(value), value) == (type(read), read)


def test_too_many_digits() -> None:
    """A number that Python would not read is text, and no digit is lost."""
    assert "9" * 5000 == good("9" * 5000)


def test_places() -> None:
    """Every mapping and key knows its line and column, both from 1."""
    read = good("tenants:\n  acme: {api_key: {env: KEY}}\n")

    assert Site("f.yaml", 1, 1) == read.site
    assert Site("f.yaml", 2, 3) == read["tenants"].sites["acme"]
    assert Site("f.yaml", 2, 10) == read["tenants"]["acme"].sites["api_key"]


@pytest.mark.parametrize("key", ["42", "007", "1.10", "True", "null", "~", "0x10", "no"])
def test_keys_as_written(key: str) -> None:
    """A key is the text that is written: a tenant may be called 007."""
    assert {key: 1} == good(f"{key}: 1")


@pytest.mark.parametrize("key", ["{a: b}", "[a]"])
def test_keys_are_text(key: str) -> None:
    """A mapping or a list is no key."""
    assert Problem("a key is a text: quote it", site=Site("f.yaml", 1, 3)) == bad(f"? {key}\n: 1\n")


def test_anchors() -> None:
    """An alias stands for what its anchor holds, scalars and keys included."""
    assert {"a": {"x": 1}, "b": {"x": 1}} == good("a: &one {x: 1}\nb: *one")
    assert {"a": "t", "t": [2, 2]} == good("a: &name t\n*name : [&two 2, *two]")


def test_anchor_said_again() -> None:
    """An alias means the last anchor of its name that stands before it."""
    assert {"a": 1, "b": 2, "c": 2} == good("a: &x 1\nb: &x 2\nc: *x")


@pytest.mark.parametrize("text", ["a: *hunter2", "a: &hunter2 [*hunter2]"])
def test_alias_of_nothing(text: str) -> None:
    """An alias needs an anchor before it; its name may be an unquoted secret and is not shown."""
    problem = bad(text)

    assert ("a", 1) == (problem.path, problem.site.line if problem.site else 0)
    assert "no anchor of this name (not shown) stands before the alias" == problem.message
    assert "hunter2" not in str(problem)


def test_merge_key() -> None:
    """What a mapping says itself is nearer than what it merges, wherever `<<` stands."""
    assert {"x": 2, "y": 1} == good("a: &a {x: 1, y: 1}\nb: {<<: *a, x: 2}")["b"]
    assert {"x": 2, "y": 1} == good("a: &a {x: 1, y: 1}\nb: {x: 2, <<: *a}")["b"]


def test_merge_list() -> None:
    """Of several merged mappings the first one wins."""
    read = good("a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b]}")

    assert {"x": 1, "y": 2} == read["c"]
    assert Site("f.yaml", 2, 14) == read["c"].sites["y"]


def test_merge_is_plain() -> None:
    """A quoted `<<` is a key like any other."""
    assert {"<<": {"x": 1}} == good("'<<': {x: 1}")


@pytest.mark.parametrize("value", ["1", "[a]", "null"])
def test_merge_of_no_mapping(value: str) -> None:
    """Only mappings are merged."""
    problem = bad(f"a: {{<<: {value}}}")

    assert ("`<<` merges mappings only", "a") == (problem.message, problem.path)


def test_duplicate_key() -> None:
    """A key said twice names both places; the first one is kept."""
    problems: list[Problem] = []
    read = read_yaml("tenants:\n  acme: {a: 1, b: 2, a: 3}\n", "f.yaml", problems)

    site = Site("f.yaml", 2, 22)
    message = "key 'a' was said before, at f.yaml:2:10"
    assert [Problem(message, "tenants.acme.a", site)] == problems
    assert {"tenants": {"acme": {"a": 1, "b": 2}}} == read


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 'x", 1, "unexpected end of stream"),
        ("a: 1\nb: c: d", 2, "mapping values are not allowed"),
        ("a: [1, 2\nb: 1", 2, "did not find expected ',' or ']'"),
        ("a: @x", 1, "cannot start any token"),
        ("%YAML 3.0\n---\na: 1", 1, "incompatible YAML document"),
    ],
)
def test_syntax(text: str, line: int, said: str) -> None:
    """What is not YAML is a problem with its line, in the words of libyaml."""
    problem = bad(text)

    assert line == (problem.site.line if problem.site else 0)
    assert problem.message.startswith("not YAML: ")
    assert said in problem.message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a:\n\tb: 1", "indent with spaces, not with tabs"),
        ("a: {b: ${NAME}}", 'quote it: "${NAME}", "{tenant}"'),
        ("a: {b: t/{tenant}}", 'quote it: "${NAME}", "{tenant}"'),
        ("a: {tenant}/x", 'quote it: "${NAME}", "{tenant}"'),
        ("a: {b: t/{labels.x}}", 'quote it: "${NAME}", "{tenant}"'),
        ("a: [", ""),
    ],
)
def test_syntax_hints(text: str, hint: str) -> None:
    """Tabs and unquoted placeholders are what people trip over."""
    assert hint == bad(text).hint


def test_one_document() -> None:
    """A second document is refused at its first line."""
    problem = bad("a: 1\n---\na: 2\n")

    assert Site("f.yaml", 2, 1) == problem.site
    assert "a second document starts here: one file is one document" == problem.message


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "--- null\n"])
def test_empty(text: str) -> None:
    """A document may be empty."""
    assert good(text) is None


@pytest.mark.parametrize("character", ["\0", "\a", "\x7f"])
def test_control_characters(character: str) -> None:
    """A control character is a problem at its place, whatever stands before it."""
    problem = bad(f"ä: 1\nö: x{character}")

    assert Problem("not YAML: control characters are not allowed", "", problem.site) == problem
    assert Site("f.yaml", 2, 5) == problem.site


def test_lone_surrogate() -> None:
    """A variable whose bytes are not UTF-8 is a problem, not a crash."""
    assert Problem("not YAML: surrogates not allowed", site=Site("f.yaml")) == bad("a: \udc80")


@pytest.mark.parametrize("text", ["\ufeffa: 1\nb: 2", "a: 1\r\nb: 2\r\n", "a: 1\rb: 2"])
def test_marks_and_breaks(text: str) -> None:
    """A byte order mark and every kind of line break are YAML."""
    read = good(text)

    assert {"a": 1, "b": 2} == read
    assert 2 == read.sites["b"].line


def nested(depth: int, inside: str = "") -> str:
    return "[" * depth + inside + "]" * depth


def test_depth() -> None:
    """Nesting is bounded."""
    assert isinstance(good(nested(MAX_DEPTH)), list)
    assert "nested deeper than 64 levels, aliases followed" == bad(nested(MAX_DEPTH + 1)).message


def test_depth_by_aliases() -> None:
    """Aliases do not nest deeper than what is written out may be."""
    text = f"a: &a {nested(40)}\nb: &b {nested(20, '*a')}\n"

    assert 2 == len(good(text))
    assert "nested deeper than 64 levels, aliases followed" == bad(f"{text}c: [[[[*b]]]]").message


def test_depth_of_siblings() -> None:
    """A deep anchor does not count against its neighbours."""
    text = f"a: {nested(60)}\nb: &b {nested(2)}\nc: {nested(50, '*b')}\n"

    assert 3 == len(good(text))


def test_alias_bomb() -> None:
    """A document of a few lines does not become billions of values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for n in range(1, 10):
        before = ", ".join([f"*a{n - 1}"] * 10)
        lines.append(f"a{n}: &a{n} [{before}]")

    problem = bad("\n".join(lines))

    assert "more than 5000000 values once aliases are followed" == problem.message
    assert 7 == (problem.site.line if problem.site else 0)


def test_expand() -> None:
    """Every text and key with a dollar is expanded, with its place; numbers are not."""
    seen: list[tuple[str, Site]] = []

    def expand(text: str, site: Site) -> str:
        seen.append((text, site))
        return "filled"

    read = read_yaml("$a: 1\nb: '$c'\nd: [$e, 5]", "f.yaml", [], expand=expand)

    assert {"filled": 1, "b": "filled", "d": ["filled", 5]} == read
    assert [("$a", 1), ("$c", 2), ("$e", 3)] == [(text, site.line) for text, site in seen]


def test_expand_problems() -> None:
    """What is wrong with an expansion is told with the path of its key."""
    problems: list[Problem] = []

    def expand(text: str, site: Site) -> str:
        problems.append(Problem("not set", site=site))
        return ""

    read_yaml("a: 1\nb: {c: ['${X}']}\n", "f.yaml", problems, expand=expand)

    assert [Problem("not set", "b.c", Site("f.yaml", 2, 9))] == problems


def test_anchored_keys() -> None:
    """A key with an anchor is a text as it is written; its alias is what it stands for."""
    assert {"42": "x", "b": 42} == good("&a 42: x\nb: *a")
    assert {"k": "x", "b": "k"} == good("&a k: x\nb: *a")
    assert "a key is a text: quote it" == bad("a: &a 5\n*a : x").message


def test_mappings_are_sited() -> None:
    """Mappings bear places, those in lists too."""
    assert isinstance(good("[{a: 1}]")[0], Sited)


def test_site_of_byte() -> None:
    """Columns count characters, not bytes."""
    assert Site("f", 2, 3) == site_of_byte("a\nöä!".encode(), 6, "f")
