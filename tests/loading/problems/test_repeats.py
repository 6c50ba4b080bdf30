"""Problems come in order, each once, and without what follows from another."""

from __future__ import annotations

from typing import Any

from tenantry.errors import Problem, Site
from tenantry.loading.problems import without_repeats


def test_order() -> None:
    """Problems come in the order of the files, each once; those without a place come first."""
    sites: list[Any] = [Site("b", 1, 1), Site("a", 10, 1), None, Site("a", 9, 2), Site("a", 9, 1)]
    problems = [Problem("wrong", site=site) for site in sites]

    assert [None, Site("a", 9, 1), Site("a", 9, 2), Site("a", 10, 1), Site("b", 1, 1)] == [
        problem.site for problem in without_repeats([*problems, *problems])
    ]


def kept(*problems: Problem) -> list[str]:
    return [problem.message for problem in without_repeats(problems)]


def test_what_follows_from_another() -> None:
    """What is mended with another problem is not told: one mistake is one problem."""
    shape = Problem("is not a mapping", "sources.entra")
    unset = Problem("variable X is not set, or empty", "sources.vault.address")
    source = Problem("unknown kind of source 'vualt'", "sources.vualt")

    assert [shape.message] == kept(shape, Problem("is missing", "sources.entra.auth"))
    assert [shape.message, "is missing"] == kept(shape, Problem("is missing", "sources.entra2.a"))
    assert [unset.message] == kept(Problem("is not an http(s) URL", unset.path), unset)
    assert [source.message] == kept(
        source, Problem("source 'vualt' is declared, but not with a known `type`", "tenants.a.b")
    )
