"""How references become credentials: sources are opened once, documents are kept once."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenantry.breaker import Breaker
from tenantry.credential import Credential, CredentialStatus
from tenantry.freshness import RefreshPolicy
from tenantry.keyring import Keyring
from tenantry.pool import Pool
from tenantry.secret import fingerprint_freely, fingerprint_under
from tenantry.settings import SecretReference
from tenantry.sources import WORKLOAD_IDENTITY, SourceKind, SourceTools
from tenantry.sources.versions import at_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tenantry.events import EventStream
    from tenantry.flight import Fetch
    from tenantry.keeper import Keeper
    from tenantry.keyring import Place
    from tenantry.loading import DeclaredSource, Tenant
    from tenantry.refresher import Refresher
    from tenantry.secret import Document, Secret
    from tenantry.settings import (
        ReferenceOptions,
        TenantSettings,
        WorkloadIdentitySettings,
    )
    from tenantry.sources import Source

# Who waits for the catalog waits for its secret, too; it is asked for at each connection only.
CATALOG_POLICY = RefreshPolicy(every=30.0, wait=0.5)


class Secrets:
    """The sources and credentials of one registry."""

    def __init__(
        self,
        declared: Mapping[str, DeclaredSource],
        kinds: Mapping[str, SourceKind],
        environ: Mapping[str, str],
        events: EventStream,
        refresher: Refresher | None = None,
    ) -> None:
        self._kinds = {WORKLOAD_IDENTITY.name: WORKLOAD_IDENTITY, **kinds}
        self._environ = environ
        self._keyring = Keyring(events, refresher)
        self._built_in: Pool[str, _Source] = Pool()
        self._declared: Mapping[str, _Source] = {}
        self._fingerprint_key: Credential | None = None
        self.declare(declared)
        self.schedule = self._keyring.schedule
        self.submit = self._keyring.submit

    def declare(self, declared: Mapping[str, DeclaredSource]) -> bool:
        """Take the sources that a configuration declares; those that are as before stay open.

        Returns:
            Whether any that there was is another one now, or none.
        """
        before, found = self._declared, dict[str, _Source]()
        for name in declared:
            self._declare(name, declared, found)
        self._declared = found
        gone = set(before.values()) - set(found.values())
        self._keyring.drop_sources(gone)
        return any(found.get(name) is not source for name, source in before.items())

    def _declare(
        self, name: str, declared: Mapping[str, DeclaredSource], found: dict[str, _Source]
    ) -> _Source | None:
        """Find the source of that name or make it; those that it needs itself come first."""
        said = declared.get(name)
        if said is None or name in found:
            return found.get(name)
        needs = tuple(
            self._declare(reference.source, declared, found)
            for reference in _all_of(said.settings.references())
        )
        known = (*found.values(), *self._declared.values())
        source = next((each for each in known if each.is_like(said, needs)), None)
        found[name] = source or self._made(name, said, needs)
        return found[name]

    def credentials(self, tenant: str, settings: TenantSettings) -> dict[str, Credential]:
        """Return a tenant's credentials by the path of the setting that each is for."""
        policy = settings.refresh.policy()
        return {
            path: self._credential(reference, tenant, path, policy)
            for path, reference in _needed(settings)
        }

    def statuses(self, tenant: str, settings: TenantSettings) -> tuple[CredentialStatus, ...]:
        """Return what is known of a tenant's credentials; nothing is kept that was not before."""
        return tuple(self._status(reference, tenant, path) for path, reference in _needed(settings))

    def users(self) -> set[str]:
        """Return the names of who needs a secret that was asked for; not only tenants'."""
        return self._keyring.users()

    def expiries(self) -> Iterator[tuple[str, str, float]]:
        """Return by tenant and source the seconds until what is held cannot serve any more."""
        return (found for found in self._keyring.expiries() if not found[0].startswith("("))

    def documents(self, tenant: Tenant) -> list[Credential]:
        """Return one credential for each document that a tenant or an endpoint of it needs."""
        found = {
            id(credential.keeper): credential
            for settings in (tenant.settings, *tenant.endpoints.values())
            for credential in self.credentials(tenant.name, settings).values()
        }
        return list(found.values())

    def of_each_source(self, tenants: Iterable[Tenant]) -> dict[str, Credential]:
        """Return one credential of each declared source, of the first tenants that use them."""
        found: dict[str, Credential] = {}
        for tenant in tenants:
            if len(found) == len(self._declared):
                break
            for name, reference in self._unseen(tenant, found):
                policy = tenant.settings.refresh.policy()
                found[reference.source] = self._credential(reference, tenant.name, name, policy)
        return found

    def _unseen(
        self, tenant: Tenant, seen: Mapping[str, Credential]
    ) -> Iterator[tuple[str, SecretReference]]:
        if tenant.settings.enabled:
            for path, reference in _needed(tenant.settings):
                if reference.source in self._declared and reference.source not in seen:
                    yield path, reference

    def exchange(self, before: Tenant, after: Tenant | None) -> list[Keeper]:
        """Note that a tenant has other settings now, or is gone: what nobody needs is let go.

        Returns:
            The keepers of what was let go; those who hold a credential of one go on using it.
        """
        places = self._places(before)
        asked_for = {place for places_of in places.values() for place in places_of}
        asked_for = {place for place in asked_for if self._keyring.has(place)}
        for user, theirs in places.items():
            self._keyring.release(user, theirs)
        if asked_for and after is not None:
            for settings in (after.settings, *after.endpoints.values()):
                self.credentials(after.name, settings)
        return self._keyring.drop_unneeded(asked_for)

    def let_go(self, tenant: str, settings: TenantSettings) -> list[Keeper]:
        """Drop what nothing was fetched for, and return it: a tenant's clients were evicted.

        What is held stays: it serves the tenant's next client even if its source is away.
        """
        places: dict[str, list[Place]] = {}
        self._add_all_places(settings, tenant, places)
        return self._keyring.drop_empty(place for theirs in places.values() for place in theirs)

    def _places(self, tenant: Tenant) -> dict[str, list[Place]]:
        """Return where a tenant's documents are, by the name of who needs each."""
        places: dict[str, list[Place]] = {}
        for settings in (tenant.settings, *tenant.endpoints.values()):
            self._add_all_places(settings, tenant.name, places)
        return places

    def _add_all_places(
        self, settings: TenantSettings, tenant: str, places: dict[str, list[Place]]
    ) -> None:
        for _, reference in _needed(settings):
            self._add_places(reference, tenant, places)

    def _add_places(
        self, reference: SecretReference, user: str, places: dict[str, list[Place]]
    ) -> None:
        source = self._source(reference.source)
        places.setdefault(user, []).append((source, reference.options.locator))
        for nested in reference.options.nested():
            self._add_places(nested, _itself(reference.source), places)

    def outdate(self, tenant: str, settings: TenantSettings) -> None:
        """Obey a tenant's `rotated_at`: what was fetched before it is fetched anew."""
        if settings.rotated_at is not None:
            for credential in self.credentials(tenant, settings).values():
                credential.outdate(settings.rotated_at)

    def fingerprint_under(self, reference: SecretReference) -> None:
        """Make this process's fingerprints with a secret of the registry's own, which is fetched.

        Waits for one that does not leave the machine.
        """
        key = self._credential(reference, "(registry)", reference.setting, RefreshPolicy())
        flight = key.keeper.prefetch()
        if flight is not None and self.is_local(key):
            flight.wait(key.keeper.policy.wait)
        self._fingerprint_key = key
        fingerprint_under(self.fingerprint_key)

    def fingerprint_key(self) -> Secret | None:
        """Return what fingerprints are made with, None while that is not known; never waits."""
        if self._fingerprint_key is None:
            return None
        self._fingerprint_key.prefetch()
        return self._fingerprint_key.peek()

    def is_local(self, credential: Credential) -> bool:
        """Whether fetching a credential does not leave the machine."""
        kind = self._kinds.get(credential.source)
        return kind is not None and kind.local

    def close(self) -> None:
        fingerprint_freely(self.fingerprint_key)
        self._keyring.close()
        for source in (*self._declared.values(), *self._built_in.clear()):
            source.close()

    def _credential(
        self, reference: SecretReference, tenant: str, path: str, policy: RefreshPolicy
    ) -> Credential:
        options = reference.options
        source = self._source(reference.source)
        keeper = self._keyring.keeper(
            source,
            options.locator,
            policy if options.refresh is None else options.refresh.policy(),
            _Fetch(source, options),
            tenant=tenant,
            name=reference.source,
            lane=self._lane(reference),
            breaker=source.breaker,
        )
        return _credential_of(keeper, reference, tenant, path)

    def _status(self, reference: SecretReference, tenant: str, path: str) -> CredentialStatus:
        keeper = self._keyring.kept((self._source(reference.source), reference.options.locator))
        if keeper is None:
            setting = reference.setting or path
            return CredentialStatus(setting, str(reference), source=reference.source)
        return _credential_of(keeper, reference, tenant, path).status()

    def _source(self, name: str) -> _Source:
        declared = self._declared.get(name)
        if declared is not None:
            return declared
        return self._built_in.get(name, lambda: self._made(name, None, ()))

    def _made(
        self, name: str, said: DeclaredSource | None, needs: tuple[_Source | None, ...]
    ) -> _Source:
        kind = self._kinds[name if said is None else said.kind.name]
        source = _Source(kind, said, needs)
        source.tools = SourceTools(
            name=name,
            environ=self._environ,
            credential_for=lambda reference: self._own_credential(name, reference),
            keep=lambda what, policy, fetch: self._keyring.keeper(
                source, what, policy, fetch, tenant=_itself(name), name=f"{name} {what}"
            ),
        )
        return source

    def _own_credential(self, source: str, reference: SecretReference) -> Credential:
        """A secret that a source needs for itself; no tenant's."""
        return self._credential(reference, _itself(source), reference.setting, RefreshPolicy())

    def for_catalog(self, reference: SecretReference) -> Credential:
        """Return the secret that an engine of tenants is reached with; no tenant's."""
        return self._credential(reference, "(catalog)", reference.setting, CATALOG_POLICY)

    def _lane(self, reference: SecretReference) -> str:
        """Name where a reference is fetched.

        One that is made of others waits for them: on a lane of its own kind, which none of them
        needs.
        """
        nested = reference.options.nested()
        return " ".join([reference.source, *(self._lane(each) for each in nested)])


class _Source:
    """A source, declared or built in, that is opened by its first fetch.

    Lives as long as anybody can fetch from it: after a reload the old one still serves those who
    hold a client with the settings of then.
    """

    def __init__(
        self, kind: SourceKind, said: DeclaredSource | None, needs: tuple[_Source | None, ...]
    ) -> None:
        self.breaker = None if said is None else Breaker()
        self.tools: SourceTools
        self._kind = kind
        self._said = said
        self._needs = needs
        self._opened: Pool[str, Source] = Pool()
        weakref.finalize(self, _close, self._opened).atexit = False

    def is_like(self, said: DeclaredSource, needs: tuple[_Source | None, ...]) -> bool:
        """Whether it was declared with the same words, and so was what it needs itself."""
        return self._said == said and self._needs == needs

    def fetch(self, options: ReferenceOptions, *, forced: bool) -> Document:
        """Ask the source for a document; runs on the source's threads."""
        return self.opened().fetch(options, forced=forced)

    def opened(self) -> Source:
        return self._opened.get("", self._open)

    def close(self) -> None:
        _close(self._opened)

    def _open(self) -> Source:
        return self._kind.open(None if self._said is None else self._said.settings, self.tools)


def _close(opened: Pool[str, Source]) -> None:
    for source in opened.clear():
        source.close()


@dataclass(frozen=True, slots=True)
class _Fetch:
    source: _Source
    options: ReferenceOptions

    def __call__(self, *, forced: bool) -> Document:
        return self.source.fetch(self.options, forced=forced)

    def at(self, version: str) -> Fetch:
        """Return what asks for one version of the document; see `VersionedFetch`."""
        return _Fetch(self.source, at_version(self.options, version))


def _credential_of(
    keeper: Keeper, reference: SecretReference, tenant: str, path: str
) -> Credential:
    return Credential(
        keeper,
        tenant=tenant,
        setting=reference.setting or path,
        field=reference.options.field,
        source=reference.source,
        reference=str(reference),
    )


def _itself(source: str) -> str:
    """Name the source as one who needs secrets; no tenant can be called so."""
    return f"(source {source})"


def _needed(settings: TenantSettings) -> Iterator[tuple[str, SecretReference]]:
    """Return every document that a tenant needs, by the path of the setting that each is for."""
    for path, reference in settings.references():
        if path != "workload_identity.subject_token":
            yield path, reference
    if settings.workload_identity is not None:
        yield "workload_identity", _exchange(settings.workload_identity)


def _exchange(settings: WorkloadIdentitySettings) -> SecretReference:
    """Turn a tenant's `workload_identity` into a reference to the source of that name."""
    options = WORKLOAD_IDENTITY.reference.model_construct(
        **{name: getattr(settings, name) for name in type(settings).model_fields}
    )
    return SecretReference(WORKLOAD_IDENTITY.name, options, "workload_identity")


def _all_of(references: Iterable[SecretReference]) -> Iterator[SecretReference]:
    for reference in references:
        yield reference
        yield from _all_of(reference.options.nested())
