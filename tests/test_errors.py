from __future__ import annotations

import pickle

import pytest

from tenantry.errors import (
    CatalogUnavailableError,
    ConfigError,
    CredentialUnavailableError,
    Failure,
    MissingExtraError,
    NoCurrentTenantError,
    OptionNotAllowedError,
    Problem,
    RegistryClosedError,
    Site,
    SourceError,
    TenantBoundaryError,
    TenantDisabledError,
    TenantError,
    TenantNotLoadedError,
    TenantQuarantinedError,
    TenantryError,
    UnknownEndpointError,
    UnknownTenantError,
    UnsupportedSettingError,
    indented,
)

WORDED = [
    (TenantryError("as it was said"), "as it was said"),
    (
        MissingExtraError("postgres", needed_for="PostgreSQL catalogs"),
        "PostgreSQL catalogs need more packages: pip install 'tenantry[postgres]'",
    ),
    (
        NoCurrentTenantError(),
        (
            "no tenant was named and none is current: pass its name, client('acme'), or enter"
            " `with use_tenant('acme'):` in this task or thread first"
        ),
    ),
    (
        OptionNotAllowedError("api_key", allowed=("timeout", "project"), reason="is a secret"),
        "option 'api_key' is a secret; allowed are: timeout, project",
    ),
    (
        RegistryClosedError(),
        "this registry is closed: open a new one with ClientRegistry.open(...)",
    ),
    (UnknownTenantError("acne"), "unknown tenant 'acne': it is not in the catalog"),
    (
        UnknownTenantError("acne", ("acme",)),
        "unknown tenant 'acne': did you mean 'acme'?",
    ),
    (
        UnknownTenantError("acne", ("acme", "aone")),
        "unknown tenant 'acne': did you mean 'acme' or 'aone'?",
    ),
    (
        UnknownEndpointError("acme", "us", ()),
        "tenant 'acme' has no endpoint 'us': it has none",
    ),
    (
        UnknownEndpointError("acme", "us", ("eu", "uk")),
        "tenant 'acme' has no endpoint 'us': it has eu, uk",
    ),
    (
        UnsupportedSettingError("acme", setting="data_residency", needs="openai>=3.3"),
        "tenant 'acme' says data_residency: pip install 'openai>=3.3'",
    ),
    (
        TenantDisabledError("acme"),
        "tenant 'acme' is disabled: its configuration says `enabled: false`",
    ),
    (
        TenantQuarantinedError("acme", (Problem("is missing", "tenants.acme.api_key"),)),
        (
            "tenant 'acme' is quarantined until its configuration is mended:\n"
            "tenants.acme.api_key: is missing"
        ),
    ),
    (
        TenantNotLoadedError("acme"),
        "tenant 'acme' is not loaded: await registry.aload('acme') first",
    ),
    (
        TenantBoundaryError("acme", boundary="https://a.example", reason="a redirect leaves"),
        "tenant 'acme' may only speak to https://a.example: a redirect leaves",
    ),
    (
        CredentialUnavailableError(
            "acme", reference="vault tenants/acme", reason="is sealed", retry_after=4.6
        ),
        "no credential for tenant 'acme': vault tenants/acme: is sealed (next attempt in 5 s)",
    ),
    (
        CatalogUnavailableError("postgres", reason="no answer within 1 s", retry_after=2.0),
        "the catalog in postgres is away: no answer within 1 s (next attempt in 2 s)",
    ),
    (SourceError("is sealed"), "is sealed"),
    (SourceError("is sealed", hint="unseal it"), "is sealed (unseal it)"),
]


@pytest.mark.parametrize(("error", "text"), WORDED)
def test_wording(error: TenantryError, text: str) -> None:
    """Every error says what is wrong and what to do next."""
    assert text == str(error) == error.message()


@pytest.mark.parametrize("error", [error for error, _ in WORDED])
def test_an_error_survives_a_process_pool(error: TenantryError) -> None:
    """What is pickled comes back with its class, facts and wording."""
    again = pickle.loads(pickle.dumps(error))
    assert (type(error), str(error), vars(error)) == (type(again), str(again), vars(again))


@pytest.mark.parametrize(
    ("error", "kinds"),
    [
        (MissingExtraError("cli", needed_for="x"), (TenantryError, ImportError)),
        (NoCurrentTenantError(), (TenantryError, LookupError)),
        (OptionNotAllowedError("x", allowed=(), reason=""), (TenantryError, TypeError)),
        (RegistryClosedError(), (TenantryError, RuntimeError)),
        (UnknownTenantError("x"), (TenantError, LookupError)),
        (UnknownEndpointError("x", "y", ()), (TenantError, LookupError)),
        (ConfigError(), (TenantryError,)),
        (CatalogUnavailableError("x", reason=""), (TenantryError,)),
        (SourceError("x"), (TenantryError,)),
        (TenantDisabledError("x"), (TenantError,)),
        (TenantNotLoadedError("x"), (TenantError,)),
        (TenantQuarantinedError("x", ()), (TenantError,)),
        (UnsupportedSettingError("x", setting="", needs=""), (TenantError,)),
        (TenantBoundaryError("x", boundary="", reason=""), (TenantError,)),
        (
            CredentialUnavailableError("x", reference="", reason="", retry_after=0.0),
            (TenantError,),
        ),
    ],
)
def test_kinds(error: TenantryError, kinds: tuple[type[Exception], ...]) -> None:
    """Errors are caught by what they mean in Python too, and all of them as TenantryError."""
    assert all(isinstance(error, kind) for kind in (*kinds, TenantryError))


def test_facts() -> None:
    """Errors carry what they tell as attributes."""
    option = OptionNotAllowedError("x", allowed=("y",), reason="is not known")
    endpoint = UnknownEndpointError("acme", "us", ("eu",))
    unsupported = UnsupportedSettingError("acme", setting="s", needs="n")
    boundary = TenantBoundaryError("acme", boundary="https://a", reason="r")
    unavailable = CredentialUnavailableError("acme", reference="a", reason="b", retry_after=1.0)
    catalog = CatalogUnavailableError("postgres", reason="r", retry_after=2.0)
    extra = MissingExtraError("cli", needed_for="x")

    assert ("x", ("y",), "is not known") == (option.option, option.allowed, option.reason)
    assert ("acme", "us", ("eu",)) == (endpoint.tenant, endpoint.endpoint, endpoint.endpoints)
    assert ("s", "n") == (unsupported.setting, unsupported.needs)
    assert ("https://a", "r") == (boundary.boundary, boundary.reason)
    assert ("a", "b", 1.0) == (
        unavailable.reference,
        unavailable.reason,
        unavailable.retry_after,
    )
    assert ("postgres", "r", 2.0) == (catalog.origin, catalog.reason, catalog.retry_after)
    assert ("cli", "x") == (extra.extra, extra.needed_for)


def test_source_error() -> None:
    """A source's failure passes unless it says otherwise."""
    error = SourceError("is sealed")
    denied = SourceError("no", failure=Failure.DENIED, hint="h", retry_after=2.0)

    assert ("is sealed", Failure.TRANSIENT, "", None) == (
        error.reason,
        error.failure,
        error.hint,
        error.retry_after,
    )
    assert (Failure.DENIED, "h", 2.0) == (denied.failure, denied.hint, denied.retry_after)


def test_site() -> None:
    """A place is a file with line and column, or a variable, and sorts in that order."""
    assert "tenants.yaml:3:5" == str(Site("tenants.yaml", 3, 5))
    assert "env TENANTRY_X" == str(Site("env TENANTRY_X"))
    assert "in code" == str(Site("in code", 0, 7))
    assert [Site("a", 2, 1), Site("a", 10, 1), Site("b")] == sorted(
        [Site("b"), Site("a", 10, 1), Site("a", 2, 1)]
    )


def test_problem() -> None:
    """A problem says what it knows: place, path, message, excerpt and hint."""
    site = Site("a.yaml", 1, 2)

    assert "is wrong" == str(Problem("is wrong"))
    assert "tenants.acme: is wrong" == str(Problem("is wrong", "tenants.acme"))
    assert "a.yaml:1:2: is wrong" == str(Problem("is wrong", site=site))
    assert "a.yaml:1:2: x: is wrong\n    try y" == str(Problem("is wrong", "x", site, "try y"))


def test_indented() -> None:
    """Every line of a hint is indented."""
    assert "    a\n    b" == indented("a\nb")


GOLDEN = """\
2 problems in the configuration
tenants.yaml:4:5: tenants.acme.timeuot: unknown key 'timeuot'
        timeuot: 30
        ^
    did you mean 'timeout'?
env TENANTRY_TENANTS__ACME__POOL: tenants.acme.pool: is not a mapping"""


def test_config_error() -> None:
    """Every problem is told at once, with its line, a caret and what to do."""
    error = ConfigError(
        Problem(
            "unknown key 'timeuot'",
            "tenants.acme.timeuot",
            Site("tenants.yaml", 4, 5),
            "did you mean 'timeout'?",
            "        timeuot: 30\n        ^",
        ),
        Problem("is not a mapping", "tenants.acme.pool", Site("env TENANTRY_TENANTS__ACME__POOL")),
    )

    assert GOLDEN == str(error)
    assert 2 == len(error.problems)


def test_one_problem() -> None:
    """One problem is not called problems."""
    assert "1 problem in the configuration\nis wrong" == str(ConfigError(Problem("is wrong")))
