from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from tenantry.loading.placeholders import PLACES, filled
from tenantry.loading.values import Sited, sited

if TYPE_CHECKING:
    from tenantry.errors import Problem

LABELS = {"team": "blue", "cost": "a/b c?d#é", "number": 5}


def fill(values: dict[str, Any], labels: object = LABELS) -> tuple[Sited, list[Problem]]:
    problems: list[Problem] = []
    return filled(sited({"labels": labels, **values}), "acme", problems), problems


def good(values: dict[str, Any]) -> Sited:
    read, problems = fill(values)
    assert [] == problems
    return read


@pytest.mark.parametrize("key", sorted(PLACES))
def test_places(key: str) -> None:
    """Secret references, addresses, organization, project, headers and query are filled in."""
    read = good({key: "x/{tenant}/{labels.team}"})

    assert "x/acme/blue" == read[key]


@pytest.mark.parametrize(
    "key", ["azure_deployment", "api_version", "provider", "proxy", "timeout", "labels", "tls"]
)
def test_nowhere_else(key: str) -> None:
    """Everywhere else a placeholder is a text like any other."""
    assert {"x": "{tenant}"} == good({key: {"x": "{tenant}"}})[key]


@pytest.mark.parametrize(
    ("group", "keys"),
    [
        ("workload_identity", ["subject_token"]),
        ("tls", ["certificate", "key"]),
        ("proxy", ["password"]),
    ],
)
def test_references_of_groups(group: str, keys: list[str]) -> None:
    """In these groups secret references are filled in, and nothing else."""
    other = {"client_id": "{tenant}", "ca": {"file": "{tenant}"}, "url": "{tenant}"}
    references = {key: {"file": "/run/{tenant}"} for key in keys}

    filled_in = {key: {"file": "/run/acme"} for key in keys}
    assert {**other, **filled_in} == good({group: {**other, **references}})[group]


def test_depth() -> None:
    """Placeholders are filled in at every depth, and the places of values are kept."""
    reference = {"first_of": [{"vault": {"path": "legacy/{tenant}", "version": 1}}, {"env": "K"}]}
    values: Any = sited({"api_key": reference, "default_headers": {"X-{tenant}": "{labels.team}"}})
    read = filled(values, "acme", [])

    assert {"first_of": [{"vault": {"path": "legacy/acme", "version": 1}}, {"env": "K"}]} == read[
        "api_key"
    ]
    assert values["api_key"].sites == read["api_key"].sites


def test_shared_values() -> None:
    """What defaults say is filled in for one tenant and left alone for the next."""
    reference = sited({"vault": "tenants/{tenant}"})

    assert {"vault": "tenants/acme"} == good({"api_key": reference})["api_key"]
    assert {"vault": "tenants/{tenant}"} == reference


def test_other_values() -> None:
    """Numbers, secrets and other braces stay as they are."""
    secret = SecretStr("{tenant}")

    assert secret is good({"api_key": secret})["api_key"]
    assert 5 == good({"default_query": {"a": 5}})["default_query"]["a"]
    assert "{Tenant} {} {model}" == good({"project": "{Tenant} {} {model}"})["project"]


def test_labels_are_quoted() -> None:
    """No label leaves the path that it is put in."""
    assert "x/a%2Fb%20c%3Fd%23%C3%A9" == good({"project": "x/{labels.cost}"})["project"]
    assert "5" == good({"project": "{labels.number}"})["project"]


@pytest.mark.parametrize("label", ["", ".", ".."])
def test_labels_that_move_a_path(label: str) -> None:
    """A label of dots would move a path although it is quoted."""
    values = {"api_key": {"file": "/run/secrets/{labels.team}/key"}}
    [problem] = fill(values, {"team": label})[1]

    assert "tenants.acme.api_key" == problem.path
    assert "label 'team' is empty or made of dots: it cannot stand in a path" == problem.message


@pytest.mark.parametrize("labels", [LABELS, {}, None, "blue"])
def test_unknown_label(labels: object) -> None:
    """A label that the tenant does not have is a problem, and its placeholder stays."""
    read, [problem] = fill({"project": "x-{labels.taem}"}, labels)

    assert "x-{labels.taem}" == read["project"]
    assert ("tenants.acme.project", "the tenant has no label 'taem'") == (
        problem.path,
        problem.message,
    )
    assert ("did you mean 'team'?" if labels == LABELS else "") == problem.hint
