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
_MOUNT = "Where the method is mounted; its usual place unless said otherwise."


class AppRole(Model):
    """Log in with a role id and a secret id."""

    role_id: str = Field(description="The role's id.")
    secret_id: SecretReference = Field(description="The role's secret id, a secret reference.")
    wrapped: bool = Field(
        default=False,
        description="Whether the secret id comes as a token that unwraps to it, once; false unless"
        " said.",
    )
    role_name: str | None = Field(
        default=None,
        description="The role whose wrapped secret ids are accepted; any role's otherwise.",
    )
    mount: str = Field(default="approle", description=_MOUNT)


class Kubernetes(Model):
    """Log in as the pod's service account."""

    role: str = Field(description="The role to log in to.")
    token_file: Path = Field(
        default=KUBERNETES_TOKEN,
        description="The pod's token; where Kubernetes mounts it unless said.",
    )
    mount: str = Field(default="kubernetes", description=_MOUNT)


class Jwt(Model):
    """Log in with a token of another issuer, a secret or a file that somebody replaces."""

    role: str = Field(description="The role to log in to.")
    token: SecretReference | None = Field(
        default=None, description="The token, a secret reference; or else token_file."
    )
    token_file: Path | None = Field(
        default=None, description="The file that has the token, read at each login; or else token."
    )
    mount: str = Field(default="jwt", description=_MOUNT)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.token is None) == (self.token_file is None):
            message = "needs exactly one of token, token_file"
            raise invalid(message)
        return self


class UserPass(Model):
    """Log in with a name and a password."""

    username: str = Field(description="The name.")
    password: SecretReference = Field(description="The password, a secret reference.")
    mount: str = Field(default="userpass", description=_MOUNT)


class Certificate(Model):
    """Log in with a TLS client certificate, which is presented on every connection."""

    certificate: Path = Field(description="The certificate and its chain, a PEM file.")
    key: Path | None = Field(
        default=None,
        description="Its private key, a PEM file without a password; left out where the"
        " certificate's file has it.",
    )
    name: str | None = Field(
        default=None, description="The role to log in to; Vault tries them all unless said."
    )
    mount: str = Field(default="cert", description=_MOUNT)

    @property
    def files(self) -> str | tuple[str, str]:
        """What requests and hvac call `cert`."""
        certificate = str(self.certificate)
        return certificate if self.key is None else (certificate, str(self.key))


class Agent(Model):
    """Leave logging in to the Vault Agent or proxy at the address: no token is sent."""


class VaultAuth(LoginChoice):
    """How to log in: exactly one of these."""

    token: SecretReference | None = Field(
        default=None, description="With a token, a secret reference: it is looked up and renewed."
    )
    token_file: Path | None = Field(
        default=None, description="With the token in a file, which is read again at each login."
    )
    approle: AppRole | None = Field(default=None, description="With a role id and a secret id.")
    kubernetes: Kubernetes | None = Field(default=None, description="As the pod's service account.")
    jwt: Jwt | None = Field(default=None, description="With a token of another issuer.")
    userpass: UserPass | None = Field(default=None, description="With a name and a password.")
    cert: Certificate | None = Field(default=None, description="With a TLS client certificate.")
    agent: Agent | None = Field(
        default=None, description="Not at all: a Vault Agent or proxy at the address does."
    )
