"""Every failure that tenantry raises, and its wording.

    TenantryError
      ConfigError                     the configuration is wrong: every problem at once
      CatalogUnavailableError         the database that keeps the tenants is away
      MissingExtraError               an optional package is not installed
      NoCurrentTenantError            client() without a name, outside use_tenant()
      OptionNotAllowedError           an option could move a credential
      RegistryClosedError             the registry was closed
      TenantError                     one tenant cannot be served
        UnknownTenantError              nobody has that name
        UnknownEndpointError            the tenant has no endpoint of that name
        UnsupportedSettingError         the installed SDK does not know a setting
        TenantDisabledError             it says `enabled: false`
        TenantQuarantinedError          its own settings are wrong
        TenantNotLoadedError            a lazy catalog has not read it yet
        TenantBoundaryError             a request would leave the tenant's own address
        CredentialUnavailableError      no usable secret, and none could be fetched
      SourceError                     a source of secrets could not deliver one

Errors carry facts and are worded when they are shown. None of them holds a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class TenantryError(Exception):
    """Base of everything that tenantry raises."""

    def __str__(self) -> str:
        return self.message()

    def message(self) -> str:
        """Word the facts; called when the error is shown."""
        return super().__str__()

    def __reduce__(self) -> tuple[Any, ...]:
        # Python would call the class with `args` alone, and a pool of processes break on that.
        return _restored, (type(self), self.args, vars(self))


def _restored(kind: type[TenantryError], args: tuple[Any, ...], facts: dict[str, Any]) -> Any:
    error = kind.__new__(kind, *args)
    error.__dict__.update(facts)
    return error


@dataclass(frozen=True, slots=True, order=True)
class Site:
    """Where a value was said: a line of a file, a variable, or code. Lines and columns from 1."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a configuration.

    `path` is the dotted path of the key, `excerpt` the source line with a caret, left out where
    the line may hold a secret.
    """

    message: str
    path: str = ""
    site: Site | None = None
    hint: str = ""
    excerpt: str = ""

    def __str__(self) -> str:
        where = ": ".join(str(part) for part in (self.site, self.path) if part)
        text = f"{where}: {self.message}" if where else self.message
        return "\n".join(part for part in (text, self.excerpt, indented(self.hint)) if part)


def indented(text: str) -> str:
    """Indent every line of a hint, so that it reads as part of what stands above it."""
    return "\n".join(f"    {line}" for line in text.splitlines())


SHOWN = 50  # problems; who has more mends those first, or reads `problems`


class ConfigError(TenantryError):
    """The configuration is wrong. Has `problems`, a tuple of `Problem`; 50 of them are shown."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__()
        self.problems = problems

    def message(self) -> str:
        count = len(self.problems)
        title = f"{count} problem{'s' * (count != 1)} in the configuration"
        more = [f"and {count - SHOWN} more"] if count > SHOWN else []
        return "\n".join([title, *map(str, self.problems[:SHOWN]), *more])


class CatalogUnavailableError(TenantryError):
    """The database that keeps the tenants does not answer.

    Has `origin` (such as `postgres`), `reason` (without a secret) and `retry_after` (seconds).
    """

    def __init__(self, origin: str, *, reason: str, retry_after: float = 1.0) -> None:
        super().__init__()
        self.origin = origin
        self.reason = reason
        self.retry_after = retry_after

    def message(self) -> str:
        again = f"next attempt in {self.retry_after:.0f} s"
        return f"the catalog in {self.origin} is away: {self.reason} ({again})"


class MissingExtraError(TenantryError, ImportError):
    """A feature needs packages that are not installed. Has `extra` and `needed_for`."""

    def __init__(self, extra: str, *, needed_for: str) -> None:
        super().__init__()
        self.extra = extra
        self.needed_for = needed_for

    def message(self) -> str:
        return f"{self.needed_for} need more packages: pip install 'tenantry[{self.extra}]'"


class NoCurrentTenantError(TenantryError, LookupError):
    """`client()` was called without a tenant's name, and no `use_tenant()` is in force."""

    def message(self) -> str:
        return (
            "no tenant was named and none is current: pass its name, client('acme'), or enter"
            " `with use_tenant('acme'):` in this task or thread first"
        )


class OptionNotAllowedError(TenantryError, TypeError):
    """An option of `client()` is unknown, or could move a credential. Has `option`, `allowed`."""

    def __init__(self, option: str, *, allowed: tuple[str, ...], reason: str) -> None:
        super().__init__()
        self.option = option
        self.allowed = allowed
        self.reason = reason

    def message(self) -> str:
        return f"option {self.option!r} {self.reason}; allowed are: {', '.join(self.allowed)}"


class RegistryClosedError(TenantryError, RuntimeError):
    """The registry was closed, and its clients with it."""

    def message(self) -> str:
        return "this registry is closed: open a new one with ClientRegistry.open(...)"


class TenantError(TenantryError):
    """One tenant cannot be served. Has `tenant`, its name."""

    def __init__(self, tenant: str) -> None:
        super().__init__(tenant)
        self.tenant = tenant


class UnknownTenantError(TenantError, LookupError):
    """Nobody has that name. Has `suggestions`, names that are near to it."""

    def __init__(self, tenant: str, suggestions: tuple[str, ...] = ()) -> None:
        super().__init__(tenant)
        self.suggestions = suggestions

    def message(self) -> str:
        if not self.suggestions:
            return f"unknown tenant {self.tenant!r}: it is not in the catalog"
        names = " or ".join(repr(name) for name in self.suggestions)
        return f"unknown tenant {self.tenant!r}: did you mean {names}?"


class UnknownEndpointError(TenantError, LookupError):
    """The tenant has no endpoint of that name. Has `endpoint` and `endpoints`, those it has."""

    def __init__(self, tenant: str, endpoint: str, endpoints: tuple[str, ...]) -> None:
        super().__init__(tenant)
        self.endpoint = endpoint
        self.endpoints = endpoints

    def message(self) -> str:
        have = f"it has {', '.join(self.endpoints)}" if self.endpoints else "it has none"
        return f"tenant {self.tenant!r} has no endpoint {self.endpoint!r}: {have}"


class UnsupportedSettingError(TenantError):
    """The installed SDK does not know a setting. Has `setting` and `needs`, what would."""

    def __init__(self, tenant: str, *, setting: str, needs: str) -> None:
        super().__init__(tenant)
        self.setting = setting
        self.needs = needs

    def message(self) -> str:
        return f"tenant {self.tenant!r} says {self.setting}: pip install '{self.needs}'"


class TenantDisabledError(TenantError):
    """The tenant says `enabled: false`."""

    def message(self) -> str:
        return f"tenant {self.tenant!r} is disabled: its configuration says `enabled: false`"


class TenantQuarantinedError(TenantError):
    """The tenant's own settings are wrong. Has `problems`."""

    def __init__(self, tenant: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(tenant)
        self.problems = problems

    def message(self) -> str:
        title = f"tenant {self.tenant!r} is quarantined until its configuration is mended:"
        return "\n".join([title, *map(str, self.problems)])


class TenantNotLoadedError(TenantError):
    """A lazy catalog has not read the tenant yet."""

    def message(self) -> str:
        return f"tenant {self.tenant!r} is not loaded: await registry.aload({self.tenant!r}) first"


class TenantBoundaryError(TenantError):
    """A request, or an option, would carry the tenant's traffic or credential elsewhere.

    Has `boundary` (the address that the tenant may speak to) and `reason`.
    """

    def __init__(self, tenant: str, *, boundary: str, reason: str) -> None:
        super().__init__(tenant)
        self.boundary = boundary
        self.reason = reason

    def message(self) -> str:
        return f"tenant {self.tenant!r} may only speak to {self.boundary}: {self.reason}"


class CredentialUnavailableError(TenantError):
    """No usable secret is held and none could be fetched.

    Has `reference` (where the secret was to come from), `retry_after` (seconds) and, as
    `__cause__`, the `SourceError` of the last attempt.
    """

    def __init__(self, tenant: str, *, reference: str, reason: str, retry_after: float) -> None:
        super().__init__(tenant)
        self.reference = reference
        self.reason = reason
        self.retry_after = retry_after

    def message(self) -> str:
        return (
            f"no credential for tenant {self.tenant!r}: {self.reference}: {self.reason}"
            f" (next attempt in {self.retry_after:.0f} s)"
        )


class Failure(Enum):
    """Why a source could not deliver; what decides when it is asked again."""

    TRANSIENT = "transient"  # network, time-out, 5xx, 429, sealed: ask again soon
    DENIED = "denied"  # bad login or policy: ask again late, lockouts count attempts
    ABSENT = "absent"  # the secret is not there


class SourceError(TenantryError):
    """A source of secrets could not deliver.

    Has `failure` (a `Failure`), `reason` (without a secret), `hint` (what to do) and
    `retry_after` (seconds, as the source said it, or None).
    """

    def __init__(
        self,
        reason: str,
        *,
        failure: Failure = Failure.TRANSIENT,
        hint: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__()
        self.reason = reason
        self.failure = failure
        self.hint = hint
        self.retry_after = retry_after

    def message(self) -> str:
        return f"{self.reason} ({self.hint})" if self.hint else self.reason
