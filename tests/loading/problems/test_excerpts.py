"""The line of a problem is shown, unless it may hold a secret."""

from __future__ import annotations

import pytest

from tenantry.errors import Problem, Site
from tenantry.loading.problems import with_excerpts


def excerpt(line: str, *, path: str = "a.b", above: str = "", column: int = 1) -> str:
    problem = Problem("wrong", path, Site("f", 2, column))
    [shown] = with_excerpts([problem], {"f": [above, line]})
    return shown.excerpt


def test_excerpt() -> None:
    """The line is shown with a caret below the column."""
    assert "      timeout: x\n      ^" == excerpt("  timeout: x  ", column=3)
    assert "    a b\n      ^" == excerpt("a\tb", column=3)


@pytest.mark.parametrize(
    "line",
    [
        "API_KEY: x",
        "x: sk-1",
        "token: x",
        "password: x",
        "  a: ${X}",
        "Auth: x",
        "literal: x",
        "url: https://user:x@y",
        "project: 8a7b6c5d4e3f2a1b",
        "client_secret: x",
        "credential: x",
        "default_headers: x",
        "default_query: x",
        "x" * 201,
    ],
)
def test_no_excerpt(line: str) -> None:
    """A line that may hold a secret, or is very long, is not shown."""
    assert "" == excerpt(line)


@pytest.mark.parametrize(
    ("line", "column", "shown"),
    [
        ("  api_key: hunter2", 3, "  api_key: (not shown)"),
        ("  api_key:", 3, "  api_key:"),
        ('  "api_key": hunter2', 3, '  "api_key": (not shown)'),
        ("  api_key: {hunter2: hunter2}", 3, "  api_key: (not shown)"),
        ("{api_key: hunter2}", 2, ""),
        ("  hunter2: hunter2", 3, ""),
        ("  api_key hunter2", 3, ""),
    ],
)
def test_key_alone(line: str, column: int, shown: str) -> None:
    """Of a line that may hold a secret its key is shown, if the path says it anyway."""
    caret = f"    {shown}\n    {' ' * (column - 1)}^" if shown else ""

    assert caret == excerpt(line, path="tenants.acme.api_key", column=column)


def test_no_excerpt_inside_secrets() -> None:
    """Nor is a line that stands, by its path or by the lines above it, where secrets are."""
    assert "    X-Any: (not shown)\n    ^" == excerpt(
        "X-Any: x", path="tenants.acme.default_headers.X-Any"
    )
    assert "" == excerpt("x", path="", above="literal: >")
    assert "    x\n    ^" == excerpt("x", path="a", above="literal: >")
    assert "    x\n    ^" == excerpt("x", path="", above="timeout: >")


@pytest.mark.parametrize("site", [None, Site("f"), Site("f", 3, 1), Site("other", 1, 1)])
def test_no_line(site: Site | None) -> None:
    """What has no line that was read has no excerpt."""
    problem = Problem("wrong", site=site)

    assert [problem] == with_excerpts([problem], {"f": ["a", "b"]})


def test_excerpt_stays() -> None:
    """An excerpt is made once."""
    problem = Problem("wrong", site=Site("f", 1, 1), excerpt="shown")

    assert [problem] == with_excerpts([problem], {"f": ["a"]})
