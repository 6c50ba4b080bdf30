"""Sources as a registry opens them, and what no text of theirs may show."""

from __future__ import annotations

import base64
import logging
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from pydantic import TypeAdapter

from tenantry.errors import SourceError
from tenantry.events import EventStream
from tenantry.freshness import RefreshPolicy
from tenantry.loading import DeclaredSource
from tenantry.secrets import Secrets
from tenantry.settings import References, SecretReference
from tenantry.sources import kinds
from tenantry.testing import VaultServer
from tenantry.testing.vault import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tenantry.credential import Credential
    from tenantry.secret import Document


READ = """
path "secret/data/tenants/*" { capabilities = ["read"] }
path "kv/*" { capabilities = ["read"] }
path "database/creds/*" { capabilities = ["read"] }
"""
PLANTED = "sk-planted-0123456789"


class Bench:
    """The sources of one configuration, without the tenants."""

    def __init__(
        self, sources: Mapping[str, Mapping[str, Any]], environ: Mapping[str, str] | None = None
    ) -> None:
        table = kinds()
        named = {name: str(said.get("type", name)) for name, said in sources.items()}
        self.references = References(table, named)
        declared: dict[str, DeclaredSource] = {}
        for name, said in sources.items():
            kind = table[named[name]]
            assert kind.settings is not None
            values = {key: value for key, value in said.items() if key != "type"}
            settings = kind.settings.model_validate(values, context=self.references)
            declared[name] = DeclaredSource(kind, settings)
        self.events = EventStream()
        self.secrets = Secrets(declared, table, environ or {}, self.events)

    def reference(self, said: Mapping[str, Any], setting: str = "api_key") -> SecretReference:
        read = TypeAdapter(SecretReference).validate_python(said, context=self.references)
        return SecretReference(read.source, read.options, setting)

    def fetch(self, said: Mapping[str, Any], *, forced: bool = False) -> Document:
        """Ask a source for a document, here and now."""
        reference = self.reference(said)
        return self.secrets._source(reference.source).fetch(reference.options, forced=forced)

    def value(self, said: Mapping[str, Any]) -> str:
        """Return the secret that a reference at `api_key` means."""
        reference = self.reference(said)
        document = self.fetch(said)
        return document.secret(reference.options.field, reference.setting).reveal()

    def error(self, said: Mapping[str, Any], *, forced: bool = False) -> SourceError:
        """Return what a source refuses with."""
        with pytest.raises(SourceError) as caught:
            self.fetch(said, forced=forced)
        return caught.value

    def credential(self, said: Mapping[str, Any], setting: str = "api_key") -> Credential:
        reference = self.reference(said, setting)
        return self.secrets._credential(reference, "acme", setting, RefreshPolicy())

    def close(self) -> None:
        self.secrets.close()
        self.events.close()


@pytest.fixture
def opened() -> Iterator[Callable[..., Bench]]:
    """Return a maker of benches, which are closed again."""
    made: list[Bench] = []

    def make(
        sources: Mapping[str, Mapping[str, Any]] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Bench:
        made.append(Bench(sources or {}, environ))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.fixture
def shown(caplog: pytest.LogCaptureFixture) -> Callable[[BaseException, str], bool]:
    """Tell whether an error, or anything logged so far, shows a secret in any encoding."""

    def look(error: BaseException, secret: str) -> bool:
        logging.getLogger("application").error("failed", exc_info=error)
        forms = (secret, base64.b64encode(secret.encode()).decode(), quote(secret, safe=""))
        texts = ("".join(traceback.format_exception(error)), repr(error), caplog.text)
        return any(form in text for form in forms for text in texts)

    caplog.set_level(logging.DEBUG)
    return look


# -- an embedded Vault ----------------------------------------------------------------------------


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def vault(clock: ManualClock) -> Iterator[VaultServer]:
    with VaultServer(clock=clock) as server:
        server.add_policy("tenants", READ)
        server.put("tenants/acme", {"api_key": PLANTED})
        yield server


@pytest.fixture
def vault_settings(vault: VaultServer) -> dict[str, Any]:
    role_id, secret_id = vault.approle("tenantry", policies=["tenants"])
    approle = {"role_id": role_id, "secret_id": {"literal": secret_id}}
    return {"address": vault.url, "auth": {"approle": approle}}
