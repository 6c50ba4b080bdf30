"""The ways to log in to Vault, as a configuration says them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from tenantry.settings import Model, SecretReference, invalid
from tenantry.sources.session import LoginChoice

if TYPE_CHECKING:
    from typing import Self

KUBERNETES_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class AppRole(Model):
    """Log in with a role id and a secret id."""

    role_id: str
    secret_id: SecretReference
    wrapped: bool = Field(
        default=False, description="The secret id comes as a token that unwraps to it, once."
    )
    role_name: str | None = Field(
        None, description="The role whose wrapped secret ids are accepted; any role's otherwise."
    )
    mount: str = "approle"


class Kubernetes(Model):
    """Log in as the pod's service account."""

    role: str
    token_file: Path = KUBERNETES_TOKEN
    mount: str = "kubernetes"


class Jwt(Model):
    """Log in with a token of another issuer, a secret or a file that somebody replaces."""

    role: str
    token: SecretReference | None = None
    token_file: Path | None = None
    mount: str = "jwt"

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.token is None) == (self.token_file is None):
            message = "has exactly one of token, token_file"
            raise invalid(message)
        return self


class UserPass(Model):
    """Log in with a name and a password."""

    username: str
    password: SecretReference
    mount: str = "userpass"


class Certificate(Model):
    """Log in with a TLS client certificate, which is presented on every connection."""

    certificate: Path
    key: Path | None = Field(None, description="Left out where the certificate's file has it.")
    name: str | None = Field(None, description="The role; Vault tries them all otherwise.")
    mount: str = "cert"

    @property
    def files(self) -> str | tuple[str, str]:
        """What requests and hvac call `cert`."""
        certificate = str(self.certificate)
        return certificate if self.key is None else (certificate, str(self.key))


class Agent(Model):
    """Leave logging in to the Vault Agent or proxy at the address: no token is sent."""


class VaultAuth(LoginChoice):
    """How to log in: exactly one of these."""

    token: SecretReference | None = None
    token_file: Path | None = None
    approle: AppRole | None = None
    kubernetes: Kubernetes | None = None
    jwt: Jwt | None = None
    userpass: UserPass | None = None
    cert: Certificate | None = None
    agent: Agent | None = None
