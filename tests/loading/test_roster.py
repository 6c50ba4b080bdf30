from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tenantry.errors import ConfigError, Problem, Site
from tenantry.loading import Configuration, load
from tenantry.loading.roster import owner_of
from tenantry.loading.values import AS_MAPPING
from tenantry.sources import kinds

if TYPE_CHECKING:
    from pathlib import Path

KEY = {"env": "KEY"}
GOOD = {"api_key": KEY}


def read(config: object, **environ: str) -> Configuration:
    return load(config, environ=environ, kinds=kinds(), tenants_needed=False)  # type: ignore[arg-type]  # any mapping


def problems(tenants: object, **config: object) -> list[str]:
    found = read({"tenants": tenants, **config}).quarantined.values()
    return [f"{problem.path}: {problem.message}" for each in found for problem in each]


def stopping(config: object, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(config, **environ)
    return [f"{problem.path}: {problem.message}" for problem in caught.value.problems]


def test_one_does_not_break_another() -> None:
    """A tenant with a mistake is quarantined, with everything that is wrong; others are usable."""
    configuration = read({"tenants": {"acme": GOOD, "bad": {"timeuot": 5, "pool": 5}}})

    assert ["acme"] == list(configuration.tenants)
    assert ["tenants.bad", "tenants.bad.pool", "tenants.bad.timeuot"] == sorted(
        problem.path for problem in configuration.quarantined["bad"]
    )


@pytest.mark.parametrize(
    "name", ["a", "A1", "42", "acme.eu", "acme-eu_1", "x" * 128, "null", "0", "a.", "a-"]
)
def test_names(name: str) -> None:
    """A name is of letters, digits and `._-`, and begins with a letter or a digit."""
    assert [name] == list(read({"tenants": {name: GOOD}}).tenants)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a..b", "-a", "_a", ".a", "a b", "a/b", "ä", "a\n", "x" * 129, "a{b}"]
)
def test_bad_names(name: str) -> None:
    """A name that could leave a path is refused."""
    assert [
        f"tenants.{name}: a tenant's name is 1 to 128 letters, digits and ._- without `..`"
    ] == problems({name: GOOD})


def test_place_of_a_bad_name(tmp_path: Path) -> None:
    """A bad name is told where it stands, not where its settings do."""
    file = tmp_path / "tenants.yaml"
    file.write_text("tenants:\n  a b:\n    api_key: {env: KEY}\n")
    [problem] = read(file).quarantined["a b"]

    assert Site(str(file), 2, 3) == problem.site


@pytest.mark.parametrize("twin", ["ACME-EU", "acme_eu", "acme.EU"])
def test_folded_twins(twin: str) -> None:
    """Two names that could meet in one variable stop everything, and both places are named."""
    with pytest.raises(ConfigError) as caught:
        read({"tenants": {"acme-eu": GOOD, twin: GOOD}})

    [problem] = caught.value.problems
    assert (
        f"{twin!r} and 'acme-eu' are the same name once case and `-_.` are folded: two tenants"
        " could meet in one variable or file"
    ) == problem.message
    assert "'acme-eu' is at in code" == problem.hint


@pytest.mark.parametrize("said", [5, "", "sk-1", [], False, 0])
def test_mapping(said: object) -> None:
    """A tenant is a mapping; one that is not breaks no other."""
    configuration = read({"tenants": {"acme": GOOD, "bad": said}})

    assert ["acme"] == list(configuration.tenants)
    assert "is not a mapping" == configuration.quarantined["bad"][0].message


def test_mapping_by_variable() -> None:
    """A variable that is no mapping is told with its own name."""
    configuration = read({"tenants": {"acme": GOOD}}, TENANTRY_TENANTS__ACME="5")
    [problem] = configuration.quarantined["acme"]

    where = Site("env TENANTRY_TENANTS__ACME")
    assert Problem("is not a mapping", "tenants.acme", where, AS_MAPPING) == problem


BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("defaults", {"timeuot": 5}, "timeuot: unknown key 'timeuot'"),
    ("defaults", {"api_key": {"vault": "x"}}, "api_key: source 'vault' is not declared"),
    ("defaults", {"api_key": "hunter2"}, "api_key: wants a secret reference, not a plain value"),
    ("defaults", {"timeout": "soon"}, "timeout: is not a duration"),
    ("profiles.p", {"max_retries": "x"}, "max_retries: is not a whole number"),
    (
        "profiles.p",
        {"default_headers": {"Authorization": "x"}},
        "default_headers.Authorization: is a header that carries a credential",
    ),
    ("profiles.p", {"base_url": "x"}, "base_url: is not an http(s) URL"),
]


@pytest.mark.parametrize(("path", "said", "problem"), BROKEN)
@pytest.mark.parametrize("tenants", [{}, {"acme": GOOD}, {"acme": {"profile": "p"}, "b": None}])
def test_shared_layers(
    path: str, said: dict[str, Any], problem: str, tenants: dict[str, Any]
) -> None:
    """A mistake of defaults or of a profile stops everything, and is told once for all."""
    layers = {"profiles": {"p": {}}, **({path: said} if path == "defaults" else {})}
    if path == "profiles.p":
        layers["profiles"] = {"p": said}
    found = stopping({**layers, "tenants": tenants})

    assert [text for text in found if problem in text] == [
        text for text in found if text.startswith(f"{path}.{problem}")
    ]
    assert any(text.startswith(f"{path}.{problem}") for text in found)


def test_shared_layers_may_be_partial() -> None:
    """What a tenant has to have need not stand in defaults or profiles."""
    layers = {"defaults": {"provider": "azure"}, "profiles": {"p": {"api_version": None}}}

    assert {} == read({**layers, "tenants": {}}).quarantined


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("tenants.acme", "acme"),
        ("tenants.acme.timeout.read", "acme"),
        ("tenants.acme.eu", "acme.eu"),
        ("tenants.acme.eu.api_key", "acme.eu"),
        ("tenants.acmex.api_key", None),
        ("tenants", None),
        ("defaults.acme", None),
        ("acme", None),
        ("", None),
    ],
)
def test_owner(path: str, owner: str | None) -> None:
    """A problem belongs to the tenant whose name its path begins with, the longest one."""
    assert owner == owner_of(Problem("wrong", path), {"acme": {}, "acme.eu": {}})


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("tenants: {acme: {api_key: {env: A}, timeout: 1, timeout: 2}, globex: GOOD}", "acme"),
        ("tenants: {acme: GOOD, globex: GOOD, acme: GOOD, umbrella: GOOD}", "acme"),
        ("tenants: {acme: GOOD, globex: {api_key: {env: '${MISSING}'}}}\nx-a: {b: 1}", "globex"),
        ("tenants: {acme: {<<: 5, api_key: {env: A}}, globex: GOOD}", "acme"),
        ("tenants: {acme: {<<: *none, api_key: {env: A}}, globex: GOOD}", "acme"),
    ],
)
def test_faults_of_yaml(tmp_path: Path, text: str, broken: str) -> None:
    """A fault that stands inside one tenant quarantines that tenant and no other."""
    file = tmp_path / "tenants.yaml"
    file.write_text(text.replace("GOOD", "{api_key: {env: A}}"))

    assert [broken] == list(read(file).quarantined)


@pytest.mark.parametrize(
    "text",
    [
        "tenants: {acme: {api_key: {env: A}}}\nx-later: {a: 1, a: 2}",
        "tenants: {acme: {api_key: {env: A}}}\ndefaults: {project: '${MISSING}'}",
        "tenants: {acme: {api_key: {env: A}}}\ndefaults: {}\ndefaults: {}",
        "tenants: {acme: {api_key: {env: A}}}\ntenants: {}",
    ],
)
def test_faults_elsewhere(tmp_path: Path, text: str) -> None:
    """A fault outside of tenants stops everything, wherever in the file it stands."""
    file = tmp_path / "tenants.yaml"
    file.write_text(text)

    assert 1 == len(stopping(file))


def test_said_in_two_files(tmp_path: Path) -> None:
    """A tenant that two files say is quarantined, and its neighbours in the files are not."""
    (tmp_path / "a.yaml").write_text("tenants: {acme: {api_key: {env: A}}}")
    (tmp_path / "b.yaml").write_text("tenants:\n  globex: {api_key: {env: A}}\n  acme: {}\n")
    configuration = read(tmp_path)
    [problem] = configuration.quarantined["acme"]

    assert ["globex"] == list(configuration.tenants)
    assert f"tenant 'acme' was said before, at {tmp_path}/a.yaml:1:11" == problem.message
    assert Site(f"{tmp_path}/b.yaml", 3, 3) == problem.site


def test_fault_of_a_variable() -> None:
    """A variable that is wrong for one tenant quarantines that tenant."""
    variable = {"TENANTRY_TENANTS__ACME__TIMEOUT": "[hunter2"}
    configuration = read({"tenants": {"acme": GOOD, "globex": GOOD}}, **variable)

    assert ["globex"] == list(configuration.tenants)
    assert "hunter2" not in repr(configuration.quarantined)


@pytest.mark.parametrize(
    "tenant",
    [
        {"enabled": False, "timeuot": 5},
        {"enabled": "off", "api_key": "sk-1"},
        {"profile": "closed", "timeuot": 5},
        {"enabled": False, "endpoints": {"us": {"timeuot": 5}}},
    ],
)
def test_disabled(tenant: dict[str, Any]) -> None:
    """`enabled: false` is obeyed in quarantine too, whichever layer says it."""
    profiles = {"closed": {"enabled": False}}
    tenants = {"bad": {**GOOD, **tenant}, "wrong": {"enabled": True, "x": 1}, "acme": GOOD}
    configuration = read({"profiles": profiles, "tenants": tenants})

    assert {"bad"} == configuration.disabled


def test_disabled_by_variable() -> None:
    """A variable disables a tenant that is no mapping; one that is usable says so itself."""
    disable = {f"TENANTRY_TENANTS__{name}__ENABLED": "false" for name in ("BAD", "ACME")}
    configuration = read({"tenants": {"bad": 5, "acme": GOOD, "other": GOOD}}, **disable)

    assert {"bad"} == configuration.disabled
    assert not configuration.tenants["acme"].settings.enabled


def test_unclear_whether_disabled() -> None:
    """What is neither true nor false disables nobody."""
    assert frozenset() == read({"tenants": {"bad": {**GOOD, "enabled": "nope"}}}).disabled


def test_folded() -> None:
    """Every name is known by what no two may share, those in quarantine too."""
    folded = read({"tenants": {"Acme.EU": GOOD, "bad-1": {"x": 1}}}).folded

    assert {"acme_eu": "Acme.EU", "bad_1": "bad-1"} == folded
