"""The whole way from a file, a directory, a mapping or variables to validated tenants."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import ValidationError

from tenantry.errors import ConfigError, Problem, Site
from tenantry.loading.allow import Allowance
from tenantry.loading.catalog import check_only_rows, read_catalog
from tenantry.loading.environment import expander, read_environment
from tenantry.loading.files import Reader, read_contents
from tenantry.loading.layers import Profiles, Stack
from tenantry.loading.problems import found_by, with_excerpts, without_repeats
from tenantry.loading.roster import Roster, owner_of
from tenantry.loading.rows import RowReader
from tenantry.loading.sources import DeclaredSource, read_sources
from tenantry.loading.tenants import Tenant, TenantReader
from tenantry.loading.values import Sited, overlaid, sited
from tenantry.settings import Kind, References, RegistrySettings, Settings

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from tenantry.loading.files import Contents
    from tenantry.settings import CatalogSettings, EngineSettings

Config: TypeAlias = "str | Path | Sequence[str | Path] | Mapping[str, Any] | Settings"


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration that was read whole: what is usable, and what is quarantined and why.

    `disabled` are those in quarantine that say `enabled: false`, `folded` has the name of each
    tenant by what no two may share, and `rows` reads tenants that come later from elsewhere:
    from the engine that `catalog` names, if it names one. `allow` is what tenants may point at as
    it was said, with its places.
    """

    registry: RegistrySettings
    sources: Mapping[str, DeclaredSource]
    tenants: Mapping[str, Tenant]
    quarantined: Mapping[str, tuple[Problem, ...]]
    disabled: frozenset[str]
    folded: Mapping[str, str]
    rows: RowReader
    files: tuple[Path, ...] = ()
    catalog: CatalogSettings | None = None
    allow: Sited = field(default_factory=Sited)

    @property
    def engine(self) -> EngineSettings | None:
        """How tenants are read from the engine, if from one."""
        return None if self.catalog is None else self.catalog.sqlite or self.catalog.postgres


def load(
    config: Config | None,
    *,
    environ: Mapping[str, str],
    kinds: Mapping[str, Kind],
    tenants_needed: bool = True,
    contents: Contents | None = None,
) -> Configuration:
    """Read, merge and validate a configuration.

    Args:
        config: a file, a directory, several of them, a mapping, `Settings`, or None for the
            environment alone.
        environ: the one environment for `${NAME}`, `TENANTRY_...` and `inherit_environment`.
        kinds: the kinds of sources by name.
        tenants_needed: whether a configuration without a usable tenant is an error.
        contents: what the files held when they were read; by default they are read now.

    Raises:
        ConfigError: with every problem at once, where the configuration cannot be used: a problem
            outside of a tenant, no usable tenant, or any problem with `on_problem: fail`.
    """
    with _collector_paused():
        return _Loading(environ, kinds, tenants_needed=tenants_needed).load(config, contents)


def paths_of(config: Config | None) -> tuple[Path, ...]:
    """Return the files and directories that a configuration is read from; none if from none."""
    if config is None or isinstance(config, (Settings, Mapping)):
        return ()
    paths = [config] if isinstance(config, (str, Path)) else config
    return tuple(map(Path, paths))


@contextmanager
def _collector_paused() -> Generator[None]:
    """Spare the cyclic garbage collector: much is made, all of it is kept, nothing is a cycle."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Loading:
    """One configuration on its way; `_problems` has what is wrong outside of tenants."""

    def __init__(
        self, environ: Mapping[str, str], kinds: Mapping[str, Kind], *, tenants_needed: bool
    ) -> None:
        self._environ = environ
        self._tenants_needed = tenants_needed
        self._kinds = kinds
        self._problems: list[Problem] = []
        self._catalog: CatalogSettings | None = None
        self._allow = Sited()
        self._reader = Reader(self._problems, expander(environ, self._problems))

    def load(self, config: Config | None, contents: Contents | None) -> Configuration:
        document = self._document(config, contents)
        over = read_environment(self._environ, document, self._problems)
        whole = _whole(document, over)
        own_problems = self._claimed_by_tenants(_layer(whole, "tenants"))
        references = References(self._kinds, _declared(whole))
        settings = self._settings(whole, references)
        sources = read_sources(_layer(whole, "sources"), references, self._problems)
        self._catalog = read_catalog(whole, references, self._problems)
        self._allow = _layer(whole, "allow")
        stack = Stack(
            _only(whole, "refresh"),
            _layer(whole, "defaults"),
            Profiles(_layer(whole, "profiles"), self._problems),
            self._environ,
        )
        reader = TenantReader(stack, references, Allowance(settings.allow))
        roster = Roster(reader, self._problems)
        roster.check_shared(stack, references)
        if self._catalog is None:
            roster.read(_layer(document, "tenants"), _layer(over, "tenants"))
        else:
            check_only_rows(_layer(document, "tenants"), self._problems)
        for name, problems in own_problems.items():
            roster.broken.setdefault(name, []).extend(problems)
        rows = RowReader(stack, references, settings.allow, _layer(over, "tenants"))
        return self._finished(settings.registry, sources, roster, rows)

    def _document(self, config: Config | None, contents: Contents | None) -> Sited:
        if config is None:
            return Sited(Site("environment"))
        if isinstance(config, (Settings, Mapping)):
            document: Sited = sited(config)
            return document
        return self._reader.read(contents or read_contents(paths_of(config)))

    def _claimed_by_tenants(self, tenants: Sited) -> dict[str, list[Problem]]:
        """Take the problems that stand inside one tenant out of those that stop everything."""
        claimed: dict[str, list[Problem]] = {}
        others: list[Problem] = []
        for problem in self._problems:
            owner = owner_of(problem, tenants)
            (others if owner is None else claimed.setdefault(owner, [])).append(problem)
        self._problems[:] = others
        return claimed

    def _settings(self, whole: Sited, references: References) -> Settings:
        """Validate everything but the tenants' own settings."""
        tenants = _layer(whole, "tenants")
        without_tenants = whole.copy()
        without_tenants["tenants"] = {} if tenants else whole.get("tenants", {})
        try:
            return Settings.model_validate(without_tenants, context=references)
        except ValidationError as error:
            self._problems += found_by(error, whole, "", Settings)
            return Settings()

    def _finished(
        self,
        registry: RegistrySettings,
        sources: Mapping[str, DeclaredSource],
        roster: Roster,
        rows: RowReader,
    ) -> Configuration:
        quarantined = {
            name: tuple(self._presentable(problems)) for name, problems in roster.broken.items()
        }
        usable = {name: tenant for name, tenant in roster.usable.items() if name not in quarantined}
        stopping = list(self._problems)
        missing = not usable and self._tenants_needed and self._catalog is None
        if stopping or missing or registry.on_problem == "fail":
            stopping += [problem for problems in quarantined.values() for problem in problems]
        if missing and not stopping:
            stopping.append(self._no_tenants())
        if stopping:
            raise ConfigError(*self._presentable(stopping))
        files = tuple(self._reader.files)
        disabled = frozenset(roster.disabled & quarantined.keys())
        return Configuration(
            registry,
            sources,
            usable,
            quarantined,
            disabled,
            roster.folded,
            rows,
            files,
            self._catalog,
            self._allow,
        )

    def _no_tenants(self) -> Problem:
        site = Site(str(self._reader.files[0])) if self._reader.files else None
        hint = "say them under `tenants:`, or as variables such as TENANTRY_TENANTS__ACME__API_KEY"
        return Problem("the configuration has no tenants", "tenants", site, hint)

    def _presentable(self, problems: list[Problem]) -> list[Problem]:
        spoken = {problem.site.file for problem in problems if problem.site is not None}
        lines = {file: self._reader.lines(file) for file in spoken}
        return without_repeats(with_excerpts(problems, lines))


def _whole(document: Sited, over: Sited) -> Sited:
    """Return what files and variables say together, without empty layers and `x-` keys."""
    whole = overlaid(document, over)
    for key in list(whole):
        if key.startswith("x-") or (whole[key] is None and key in _MAY_BE_EMPTY):
            whole.take(key)
    return whole


_MAY_BE_EMPTY = frozenset({"defaults", "profiles", "tenants", "sources"})


def _declared(whole: Sited) -> dict[str, str]:
    """Return the kind that each declared source names: its `type`, else its own name."""
    return {
        name: _kind(said.get("type", name)) if isinstance(said, Sited) else name
        for name, said in _layer(whole, "sources").items()
    }


def _kind(said: object) -> str:
    return said if isinstance(said, str) else ""


def _layer(document: Sited, key: str) -> Sited:
    layer = document.get(key)
    return layer if isinstance(layer, Sited) else Sited()


def _only(document: Sited, key: str) -> Sited:
    """Return a layer with one key of the document, if the document has it."""
    layer = Sited()
    if isinstance(document.get(key), Sited):
        layer.put(key, document[key], document.sites[key])
    return layer
