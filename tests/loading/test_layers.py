from __future__ import annotations

from typing import Any

import pytest

from tenantry.errors import ConfigError, Problem, Site
from tenantry.loading import load
from tenantry.loading.layers import layered
from tenantry.loading.values import Sited, sited
from tenantry.sources import kinds

KEY = {"env": "KEY"}


def merged(*layers: object) -> Sited:
    return layered([sited(layer) for layer in layers])


def said(config: dict[str, Any], tenant: str = "acme", endpoint: str = "", **environ: str) -> Sited:
    configuration = load(config, environ=environ, kinds=kinds())
    assert {} == configuration.quarantined
    return configuration.tenants[tenant].said[endpoint]


def problems(config: dict[str, Any], **environ: str) -> list[Problem]:
    configuration = load(config, environ=environ, kinds=kinds(), tenants_needed=False)
    return [problem for found in configuration.quarantined.values() for problem in found]


def stopping(config: dict[str, Any], **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(config, environ=environ, kinds=kinds(), tenants_needed=False)
    return [f"{problem.path}: {problem.message}" for problem in caught.value.problems]


def test_precedence() -> None:
    """Each layer is nearer than the one before it, from the built-in limits to variables."""
    keys = ("every", "max_stale", "overlap", "wait")
    layers: list[dict[str, Any]] = [
        {"refresh": dict.fromkeys(keys, 1)},
        {"max_retries": 2, "refresh": {"max_stale": 2, "overlap": 2, "wait": 2}},
        {"max_retries": 3, "refresh": {"overlap": 3, "wait": 3}},
        {"max_retries": 4, "refresh": {"wait": 4}},
    ]
    base, defaults, first, second = layers
    config = {
        **base,
        "defaults": {**defaults, "api_key": KEY},
        "profiles": {"one": first, "two": second, "near": {"max_retries": 6}},
        "tenants": {
            "acme": {
                "profile": ["one", "two"],
                "endpoints": {"a": {}, "b": {"profile": "near"}, "c": {"max_retries": 7}},
            },
            "globex": {"profile": ["two", "one"], "max_retries": 5},
        },
    }

    assert {"every": 1, "max_stale": 2, "overlap": 3, "wait": 4} == said(config)["refresh"]
    assert 4 == said(config)["max_retries"]
    assert 4 == said(config, endpoint="a")["max_retries"]
    assert 6 == said(config, endpoint="b")["max_retries"]
    assert 7 == said(config, endpoint="c")["max_retries"]
    assert 5 == said(config, "globex")["max_retries"]
    assert 3 == said(config, "globex")["refresh"]["wait"]
    variable = {"TENANTRY_TENANTS__ACME__MAX_RETRIES": "8"}
    assert 8 == said(config, **variable)["max_retries"]
    assert 8 == said(config, endpoint="c", **variable)["max_retries"]
    nearest = {**variable, "TENANTRY_TENANTS__ACME__ENDPOINTS__C__MAX_RETRIES": "9"}
    assert 9 == said(config, endpoint="c", **nearest)["max_retries"]


def test_inherited_layer() -> None:
    """The inherited environment is nearer than defaults and farther than profiles."""
    config = {
        "defaults": {"organization": "default", "project": "default"},
        "profiles": {"p": {"project": "profile"}},
        "tenants": {"acme": {"inherit_environment": True, "profile": "p"}},
    }
    environ = {"OPENAI_API_KEY": "sk-1", "OPENAI_ORG_ID": "env", "OPENAI_PROJECT_ID": "env"}

    read = said(config, **environ)

    assert ("env", "profile") == (read["organization"], read["project"])
    assert {"env": "OPENAI_API_KEY"} == read["api_key"]


def test_inherited_by_variable() -> None:
    """A variable says whether the environment is inherited, either way."""
    tenants = {"acme": {}, "dev": {"inherit_environment": True}}
    config = {"defaults": {"api_key": KEY}, "tenants": tenants}
    environ = {"OPENAI_ORG_ID": "env"}

    name = "TENANTRY_TENANTS__{}__INHERIT_ENVIRONMENT"
    assert "env" == said(config, **environ, **{name.format("ACME"): "true"})["organization"]
    assert "organization" not in said(config, "dev", **environ, **{name.format("DEV"): "false"})


@pytest.mark.parametrize("place", ["defaults", "profiles.p", "tenants.acme.endpoints.us"])
@pytest.mark.parametrize("key", ["inherit_environment", "endpoints"])
def test_only_on_tenants(place: str, key: str) -> None:
    """Endpoints and the inherited environment are a tenant's own."""
    config: dict[str, Any] = {
        "defaults": {"api_key": KEY},
        "profiles": {"p": {}},
        "tenants": {"acme": {"endpoints": {"us": {}}}},
        "registry": {"on_problem": "fail"},
    }
    layer = config
    for step in place.split("."):
        layer = layer[step]
    layer[key] = {}

    assert f"{place}.{key}: {key} is said of a tenant only" in stopping(config)


@pytest.mark.parametrize(
    ("layers", "result"),
    [
        ([{"a": 1}, {"a": 2}], {"a": 2}),
        ([{"a": [1, 2]}, {"a": [3]}], {"a": [3]}),
        ([{"a": {"x": 1}}, {"a": {"y": 2}}], {"a": {"y": 2}}),
        ([{"api_key": {"env": "A"}}, {"api_key": {"file": "B"}}], {"api_key": {"file": "B"}}),
        ([{"a": 1}, {"a": None}], {}),
        ([{"a": None}, {"a": 1}], {"a": 1}),
        ([{"pool": {"x": 1, "y": 1}}, {"pool": {"y": 2}}], {"pool": {"x": 1, "y": 2}}),
        ([{"pool": {"x": 1}}, {"pool": None}], {}),
        ([{"pool": {"x": 1}}, {"pool": None}, {"pool": {"y": 1}}], {"pool": {"y": 1}}),
        ([{"tls": {"ca": "x", "verify": True}}, {"tls": {"ca": None}}], {"tls": {"verify": True}}),
        ([{"labels": {"a": "1"}}, {"labels": {"b": "2"}}], {"labels": {"a": "1", "b": "2"}}),
        ([{"default_query": {"a": "1"}}, {"default_query": {"a": None}}], {"default_query": {}}),
        ([{"default_headers": {"A": None}}], {"default_headers": {}}),
        ([{"default_headers": {"A": "1"}}, {"default_headers": 5}], {"default_headers": 5}),
        ([{"profile": "x", "endpoints": {}}], {}),
    ],
)
def test_kinds_of_values(layers: list[object], result: object) -> None:
    """Scalars, lists and references are replaced, mappings of settings merged, null takes away."""
    assert result == merged(*layers)


ALL = ("connect", "read", "write", "pool")


@pytest.mark.parametrize(
    ("layers", "result"),
    [
        ([30], dict.fromkeys(ALL, 30)),
        ([None], dict.fromkeys(ALL)),
        ([30, {"read": 5}], {**dict.fromkeys(ALL, 30), "read": 5}),
        ([{"read": 5}, 30], dict.fromkeys(ALL, 30)),
        ([{"read": 5}, {"connect": 1}], {"read": 5, "connect": 1}),
        ([{"read": 5}, {"read": None}], {"read": None}),
        ([{"read": None}], {"read": None}),
        ([{"read": 5}, None], dict.fromkeys(ALL)),
        ([None, {"read": 5}], {**dict.fromkeys(ALL), "read": 5}),
    ],
)
def test_timeout(layers: list[object], result: object) -> None:
    """A number sets all four limits, null lifts them, a mapping says some of them."""
    assert {"timeout": result} == merged(*({"timeout": layer} for layer in layers))


def test_header_names() -> None:
    """A header's name is the same in any case; the nearer spelling stays."""
    farther = {"default_headers": {"X-TEAM": "a", "X-Other": "b"}}
    replaced = merged(farther, {"default_headers": {"x-team": "c"}})
    taken = merged(farther, {"default_headers": {"x-team": None}})

    assert {"default_headers": {"X-Other": "b", "x-team": "c"}} == replaced
    assert {"default_headers": {"X-Other": "b"}} == taken


def test_places_are_kept() -> None:
    """Every value keeps the place that said it."""
    farther, nearer = Sited(), Sited()
    farther.put("pool", sited({"x": 1, "y": 1}, Site("far")), Site("far"))
    nearer.put("pool", sited({"y": 2}, Site("near")), Site("near"))

    read = layered([farther, nearer])

    assert Site("near") == read.sites["pool"]
    assert ["far", "near"] == [str(site) for site in read["pool"].sites.values()]


CREDENTIALS = ["api_key", "azure_ad_token", "azure_ad_token_provider", "workload_identity"]
ENDPOINTS = ["base_url", "azure_endpoint", "data_residency"]
PAIRS = [(a, b) for slot in (CREDENTIALS, ENDPOINTS) for a in slot for b in slot if a != b]


@pytest.mark.parametrize(("farther", "nearer"), PAIRS)
def test_slots(farther: str, nearer: str) -> None:
    """The nearest spelling of the credential, and of the endpoint, displaces all others."""
    assert {nearer: "b"} == merged({farther: "a"}, {nearer: "b"})
    assert {farther: "a"} == merged({farther: "a"}, {nearer: None})


@pytest.mark.parametrize(
    ("first", "second"), [pair for pair in PAIRS if pair == tuple(sorted(pair))]
)
def test_said_twice(first: str, second: str) -> None:
    """Two spellings in one layer are a problem with the full path, naming both places."""
    found = problems({"tenants": {"acme": {first: KEY, second: KEY}}})

    [problem] = [each for each in found if "twice" in each.message]
    assert {first, second} == {problem.path.removeprefix("tenants.acme."), problem.hint.split()[0]}
    assert problem.message.endswith(" say the same thing twice: keep one of them")
    assert problem.hint.endswith(" is said at in code")
    assert problem.site is not None


TWICE = {"api_key": KEY, "workload_identity": {"subject_token": KEY}}


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"tenants": {"acme": {"endpoints": {"us": TWICE}}}}, "tenants.acme.endpoints.us"),
        ({"profiles": {"p": TWICE}}, "profiles.p"),
        ({"defaults": TWICE, "tenants": {"acme": {}}}, "defaults"),
    ],
)
def test_where_said_twice(config: dict[str, Any], path: str) -> None:
    """What an endpoint, a profile or the defaults say twice is told with their path."""
    message = "api_key and workload_identity say the same thing twice: keep one of them"

    assert f"{path}.workload_identity: {message}" in stopping(
        {**config, "registry": {"on_problem": "fail"}}
    )


def test_said_twice_by_variables() -> None:
    """Variables are a layer too."""
    variables = {
        "TENANTRY_TENANTS__ACME__API_KEY": "hunter2",
        "TENANTRY_TENANTS__ACME__AZURE_AD_TOKEN": "hunter3",
    }
    [problem, *_] = problems({"tenants": {"acme": {}}}, **variables)

    assert "tenants.acme.azure_ad_token" == problem.path
    assert "env TENANTRY_TENANTS__ACME__AZURE_AD_TOKEN" == str(problem.site)
    assert "api_key is said at env TENANTRY_TENANTS__ACME__API_KEY" == problem.hint


def test_header_said_twice() -> None:
    """Two spellings of a header in one layer are a problem."""
    headers = {"X-Team": "a", "x-team": "b"}
    [problem] = problems({"tenants": {"acme": {"api_key": KEY, "default_headers": headers}}})

    assert "tenants.acme.default_headers.x-team" == problem.path
    assert "X-Team and x-team are the same header: keep one of them" == problem.message


AZURE = {"provider": "azure", "azure_endpoint": "https://a.example", "api_version": "2024-10-21"}


def test_defaults_for_both_providers() -> None:
    """Of the defaults a tenant takes what its own provider knows."""
    config = {
        "defaults": {
            "workload_identity": {
                "identity_provider_id": "i",
                "service_account_id": "s",
                "subject_token": {"file": "/token"},
            },
            "azure_ad_token_provider": KEY,
            "api_version": "2024-10-21",
        },
        "tenants": {"acme": {}, "globex": AZURE},
    }

    assert {"workload_identity"} == set(said(config))
    assert {*AZURE, "azure_ad_token_provider"} == set(said(config, "globex"))


def test_provider_taken_away() -> None:
    """The provider that a tenant ends with decides what it inherits; without one, openai's."""
    config = {
        "defaults": {"api_version": "2024-10-21"},
        "profiles": {"p": {"provider": "azure"}},
        "tenants": {
            "acme": {"profile": "p", "provider": None, "inherit_environment": True},
            "globex": {"profile": "p", "inherit_environment": True},
        },
    }
    environ = {
        "OPENAI_API_KEY": "sk",
        "AZURE_OPENAI_API_KEY": "az",
        "AZURE_OPENAI_ENDPOINT": "https://eu.openai.azure.com",
    }

    assert {"inherit_environment", "api_key"} == set(said(config, **environ))
    assert {"env": "AZURE_OPENAI_API_KEY"} == said(config, "globex", **environ)["api_key"]


PROFILES = {
    "base": {"max_retries": 1, "project": "base", "organization": "base"},
    "middle": {"profile": "base", "project": "middle"},
    "other": {"organization": "other"},
    "top": {"profile": ["middle", "other"]},
    "empty": None,
}


@pytest.mark.parametrize(
    ("profile", "result"),
    [
        ("base", {"max_retries": 1, "project": "base", "organization": "base"}),
        ("middle", {"max_retries": 1, "project": "middle", "organization": "base"}),
        ("top", {"max_retries": 1, "project": "middle", "organization": "other"}),
        (["top", "base"], {"max_retries": 1, "project": "base", "organization": "base"}),
        ("empty", {}),
        (None, {}),
    ],
)
def test_nested_profiles(profile: object, result: dict[str, object]) -> None:
    """A profile may name profiles, which lie under it; a later one wins."""
    config = {"profiles": PROFILES, "tenants": {"acme": {"api_key": KEY, "profile": profile}}}

    assert {**result, "api_key": KEY} == said(config)


def test_profile_of_defaults() -> None:
    """The defaults' profile holds for tenants that name none; a variable names one too."""
    config = {
        "defaults": {"api_key": KEY, "profile": "base"},
        "profiles": PROFILES,
        "tenants": {"acme": {}, "globex": {"profile": None}, "umbrella": {"profile": "other"}},
    }
    variable = {"TENANTRY_TENANTS__ACME__PROFILE": "middle"}

    assert "base" == said(config)["project"]
    assert "project" not in said(config, "globex")
    assert "project" not in said(config, "umbrella")
    assert "middle" == said(config, **variable)["project"]


def test_profile_of_endpoint_by_variable() -> None:
    """A variable names an endpoint's profile, and may make the endpoint."""
    config = {"profiles": PROFILES, "tenants": {"acme": {"api_key": KEY, "endpoints": {"us": {}}}}}
    name = "TENANTRY_TENANTS__ACME__ENDPOINTS__{}__PROFILE"

    assert "base" == said(config, endpoint="us", **{name.format("US"): "base"})["project"]
    assert "base" == said(config, endpoint="eu", **{name.format("EU"): "base"})["project"]


@pytest.mark.parametrize(
    ("profiles", "circle"),
    [
        ({"a": {"profile": "a"}}, "a -> a"),
        (
            {"a": {"profile": "b"}, "b": {"profile": ["c"]}, "c": {"profile": "a"}},
            "a -> b -> c -> a",
        ),
    ],
)
def test_circles(profiles: dict[str, object], circle: str) -> None:
    """Profiles that name each other are one problem that shows the way round."""
    last = circle.split(" -> ")[-2]

    assert [f"profiles.{last}.profile: profiles go round in a circle: {circle}"] == stopping(
        {"profiles": profiles, "tenants": {"acme": {"api_key": KEY, "profile": "a"}}}
    )


def test_unknown_profile() -> None:
    """A profile that nobody declares quarantines the tenant that names it."""
    config = {"profiles": PROFILES, "tenants": {"acme": {"api_key": KEY, "profile": ["midle"]}}}
    [problem] = problems(config)

    assert "tenants.acme.profile" == problem.path
    assert ("unknown profile 'midle'", "did you mean 'middle'?") == (problem.message, problem.hint)


def test_unknown_profile_elsewhere() -> None:
    """A profile that defaults or profiles name and nobody declares stops everything, once."""
    config = {
        "defaults": {"profile": "nobody"},
        "profiles": {"p": {"profile": "zzz"}},
        "tenants": {"acme": {"api_key": KEY}, "globex": {"api_key": KEY}},
    }

    assert [
        "defaults.profile: unknown profile 'nobody'",
        "profiles.p.profile: unknown profile 'zzz'",
    ] == stopping(config)


def test_profile_is_a_name() -> None:
    """What is no name is not shown, for it may hold a secret."""
    profile = [{"api_key": "sk-hunter2"}]
    [problem] = problems({"tenants": {"acme": {"api_key": KEY, "profile": profile}}})

    assert "is the name of a profile, or a list of names" == problem.message
    assert "tenants.acme.profile" == problem.path
