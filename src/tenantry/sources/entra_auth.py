"""The ways to log in to Entra ID, as a configuration says them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator

from tenantry.settings import Model, Seconds, SecretReference
from tenantry.sources.session import LoginChoice


class ManagedIdentity(Model):
    """The identity of the machine, pod or App Service; `client_id` names a user-assigned one."""

    client_id: str | None = None


class ClientSecret(Model):
    """An application with a secret. `directory_id` is Azure's "tenant id"."""

    directory_id: str
    client_id: str
    client_secret: SecretReference


class ClientCertificate(Model):
    """An application with a certificate, a PEM or PKCS 12 file that has its RSA key too."""

    directory_id: str
    client_id: str
    certificate: Path
    password: SecretReference | None = None


class WorkloadIdentity(Model):
    """A pod's federated token; what is left out is read from the `AZURE_*` variables."""

    directory_id: str | None = None
    client_id: str | None = None
    token_file: Path | None = None


class AzureCli(Model):
    """Whoever is logged in to the Azure CLI of this machine."""

    directory_id: str | None = None
    process_timeout: Seconds = 10.0


class Default(Model):
    """What azure-identity finds by itself, in its own order and in the process's environment."""


class EntraAuth(LoginChoice):
    """How to log in: exactly one of these, by name alone or with its settings."""

    managed_identity: ManagedIdentity | None = None
    client_secret: ClientSecret | None = None
    certificate: ClientCertificate | None = None
    workload_identity: WorkloadIdentity | None = None
    cli: AzureCli | None = None
    default: Default | None = None


def _by_name(value: object) -> object:
    # An unknown name too: as a key, it is told apart from the known ones.
    return {value: {}} if isinstance(value, str) else value


AuthChoice: TypeAlias = Annotated[EntraAuth, BeforeValidator(_by_name)]
