"""How references become credentials: sources are opened once, documents are kept once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenantry.credential import Credential, Keyring
from tenantry.freshness import RefreshPolicy
from tenantry.pool import Pool
from tenantry.settings import SecretReference
from tenantry.sources import WORKLOAD_IDENTITY, SourceKind, SourceTools

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenantry.events import EventStream
    from tenantry.flight import Fetch
    from tenantry.keeper import Keeper
    from tenantry.loading import DeclaredSource
    from tenantry.secret import Document
    from tenantry.settings import (
        ReferenceOptions,
        TenantSettings,
        WorkloadIdentitySettings,
    )
    from tenantry.sources import Source


class Secrets:
    """The sources and credentials of one registry."""

    def __init__(
        self,
        declared: Mapping[str, DeclaredSource],
        kinds: Mapping[str, SourceKind],
        environ: Mapping[str, str],
        events: EventStream,
    ) -> None:
        self._declared = declared
        self._kinds = {**kinds, WORKLOAD_IDENTITY.name: WORKLOAD_IDENTITY}
        self._environ = environ
        self._keyring = Keyring(events)
        self._sources: Pool[str, Source] = Pool()

    def credentials(self, tenant: str, settings: TenantSettings) -> dict[str, Credential]:
        """Return a tenant's credentials by the path of the setting that each is for."""
        policy = settings.refresh.policy()
        found = {
            path: self._credential(reference, tenant, path, policy)
            for path, reference in settings.references()
            if path != "workload_identity.subject_token"
        }
        if settings.workload_identity is not None:
            reference = _exchange(settings.workload_identity)
            found["workload_identity"] = self._credential(
                reference, tenant, "workload_identity", policy
            )
        return found

    def is_local(self, credential: Credential) -> bool:
        """Whether fetching a credential does not leave the machine."""
        kind = self._kinds.get(credential.source)
        return kind is not None and kind.local

    def close(self) -> None:
        self._keyring.close()
        for source in self._sources.clear():
            source.close()

    def _credential(
        self, reference: SecretReference, tenant: str, path: str, policy: RefreshPolicy
    ) -> Credential:
        options = reference.options
        own = options.refresh
        keeper = self._keyring.keeper(
            reference.source,
            options.locator,
            policy if own is None else own.policy(),
            _Fetch(self, reference.source, options),
            tenant=tenant,
            lane=_lane(reference),
            remote=reference.source in self._declared,
        )
        return Credential(
            keeper,
            tenant=tenant,
            setting=reference.setting or path,
            field=options.field,
            source=reference.source,
            reference=str(reference),
        )

    def _source(self, name: str) -> Source:
        return self._sources.get(name, lambda: self._opened(name))

    def _opened(self, name: str) -> Source:
        declared = self._declared.get(name)
        kind = self._kinds[name if declared is None else declared.kind.name]
        tools = SourceTools(
            name=name,
            environ=self._environ,
            credential_for=lambda reference: self._own_credential(name, reference),
            keep=lambda what, policy, fetch: self._kept(name, what, policy, fetch),
        )
        return kind.open(None if declared is None else declared.settings, tools)

    def _own_credential(self, source: str, reference: SecretReference) -> Credential:
        """A secret that a source needs for itself; no tenant's."""
        return self._credential(reference, f"(source {source})", reference.setting, RefreshPolicy())

    def _kept(self, source: str, what: str, policy: RefreshPolicy, fetch: Fetch) -> Keeper:
        return self._keyring.keeper(f"{source} {what}", (), policy, fetch, tenant="")

    def fetch(self, source: str, options: ReferenceOptions, *, forced: bool) -> Document:
        """Ask a source for a document; runs on the source's threads."""
        return self._source(source).fetch(options, forced=forced)


@dataclass(frozen=True, slots=True)
class _Fetch:
    secrets: Secrets
    source: str
    options: ReferenceOptions

    def __call__(self, *, forced: bool) -> Document:
        return self.secrets.fetch(self.source, self.options, forced=forced)


def _lane(reference: SecretReference) -> str:
    """Name where a reference is fetched.

    One that is made of others waits for them: on a lane of its own kind, which none of them needs.
    """
    return " ".join([reference.source, *(_lane(each) for each in reference.options.nested())])


def _exchange(settings: WorkloadIdentitySettings) -> SecretReference:
    """Turn a tenant's `workload_identity` into a reference to the source of that name."""
    options = WORKLOAD_IDENTITY.reference.model_construct(
        **{name: getattr(settings, name) for name in type(settings).model_fields}
    )
    return SecretReference(WORKLOAD_IDENTITY.name, options, "workload_identity")
