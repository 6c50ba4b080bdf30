"""The ways to log in to Entra ID, as a configuration says them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field

from tenantry.settings import Model, Seconds, SecretReference
from tenantry.sources.session import LoginChoice

_DIRECTORY = "The directory's id, which Azure calls tenant id."


class ManagedIdentity(Model):
    """The identity of the machine, pod or App Service; `client_id` names a user-assigned one."""

    client_id: str | None = Field(
        default=None,
        description="The id of a user-assigned identity; the system's own unless said.",
    )


class ClientSecret(Model):
    """An application with a secret. `directory_id` is Azure's "tenant id"."""

    directory_id: str = Field(description=_DIRECTORY)
    client_id: str = Field(description="The application's id.")
    client_secret: SecretReference = Field(
        description="The application's secret, a secret reference."
    )


class ClientCertificate(Model):
    """An application with a certificate, a PEM or PKCS 12 file that has its RSA key too."""

    directory_id: str = Field(description=_DIRECTORY)
    client_id: str = Field(description="The application's id.")
    certificate: Path = Field(description="A PEM or PKCS 12 file that has the RSA key too.")
    password: SecretReference | None = Field(
        default=None, description="The file's password, a secret reference; none unless said."
    )


class WorkloadIdentity(Model):
    """A pod's federated token; what is left out is read from the `AZURE_*` variables."""

    directory_id: str | None = Field(
        default=None, description=f"{_DIRECTORY} What AZURE_TENANT_ID says unless said."
    )
    client_id: str | None = Field(
        default=None, description="The application's id; what AZURE_CLIENT_ID says unless said."
    )
    token_file: Path | None = Field(
        default=None,
        description="The pod's token; what AZURE_FEDERATED_TOKEN_FILE says unless said.",
    )


class AzureCli(Model):
    """Whoever is logged in to the Azure CLI of this machine."""

    directory_id: str | None = Field(
        default=None, description=f"{_DIRECTORY} The one that is logged in to unless said."
    )
    process_timeout: Seconds = Field(
        default=10.0, description="How long `az` may run; 10 seconds unless said otherwise."
    )


class Default(Model):
    """What azure-identity finds by itself, in its own order and in the process's environment."""


class EntraAuth(LoginChoice):
    """How to log in: exactly one of these, by name alone or with its settings."""

    managed_identity: ManagedIdentity | None = Field(
        default=None, description="As the machine, pod or App Service."
    )
    client_secret: ClientSecret | None = Field(
        default=None, description="As an application, by secret."
    )
    certificate: ClientCertificate | None = Field(
        default=None, description="As an application, by certificate."
    )
    workload_identity: WorkloadIdentity | None = Field(
        default=None, description="As the pod, by its federated token."
    )
    cli: AzureCli | None = Field(
        default=None, description="As whoever is logged in to the Azure CLI of this machine."
    )
    default: Default | None = Field(
        default=None, description="As whatever azure-identity finds in the process's environment."
    )


def _by_name(value: object) -> object:
    # An unknown name too: as a key, it is told apart from the known ones.
    return {value: {}} if isinstance(value, str) else value


AuthChoice: TypeAlias = Annotated[EntraAuth, BeforeValidator(_by_name)]
