"""Secrets from AWS Secrets Manager, through botocore and its own chain of credentials."""

from __future__ import annotations

import logging
import re
import threading
from contextvars import ContextVar
from typing import Any, ClassVar

from pydantic import Field

from tenantry.errors import Failure, MissingExtraError, SourceError
from tenantry.forks import survives_fork
from tenantry.secret import Document
from tenantry.settings import ReferenceOptions, Seconds, SourceSettings
from tenantry.settings.base import HttpUrl
from tenantry.sources.base import SourceKind, SourceTools

_ABSENT = re.compile(r"ResourceNotFound|InvalidRequest")  # the latter: it awaits its deletion
_LOGIN = re.compile(
    r"UnrecognizedClient|Invalid(Signature|ClientTokenId|IdentityToken|Config)|(Incomplete)?Signature"
    r"|ExpiredToken|MissingAuth|.*SSO|Login|(No|Partial)Credentials|NoRegion|ProfileNotFound|ConfigParse"
)
_DENIED = re.compile(rf"AccessDenied|Decryption|Invalid(Param|Region)|ParamVal|{_LOGIN.pattern}")
_HINT = {Failure.ABSENT: "check name and region", Failure.DENIED: "check credentials and policy"}
_asking = ContextVar("_asking", default=False)


class AwsSecretsSettings(SourceSettings):
    """One region's Secrets Manager; what is left out is what botocore finds by itself."""

    region: str | None = Field(
        default=None,
        description="The AWS region, such as eu-central-1; what botocore finds unless said.",
    )
    endpoint_url: HttpUrl | None = Field(
        default=None, description="The service's address; the region's public one unless said."
    )
    profile: str | None = Field(
        default=None,
        description="A profile of the AWS configuration files; what botocore finds unless said.",
    )
    timeout: Seconds = Field(
        default=10.0, description="How long a request may take; 10 seconds unless said otherwise."
    )


class AwsSecretsReference(ReferenceOptions):
    """`{aws_secrets: NAME_OR_ARN}`: its current version unless `version` or `stage` names one."""

    main: ClassVar[str] = "name"

    name: str = Field(
        min_length=1,
        max_length=2048,
        serialization_alias="SecretId",
        description="The secret's name or ARN.",
    )
    version: str | None = Field(
        default=None,
        min_length=32,
        serialization_alias="VersionId",
        description="Pin one version, by its VersionId; the current one unless said.",
    )
    stage: str | None = Field(
        default=None,
        min_length=1,
        serialization_alias="VersionStage",
        description="A staging label, such as AWSPREVIOUS; AWSCURRENT unless said.",
    )


class AwsSecretsSource:
    """One botocore client: made when first needed, and anew where its login is refused."""

    def __init__(self, settings: AwsSecretsSettings, tools: SourceTools) -> None:
        del tools  # botocore looks at the environment of the process
        self._settings, self._botocore = settings, _botocore()
        self._inherited: list[Any] = []
        self._client: Any = None
        self._opening = threading.Lock()
        survives_fork(self)

    def after_fork(self) -> None:
        """Open own sockets; the parent's are kept, as a lock of theirs may be held for ever."""
        self._inherited.append(self._client)
        self._client, self._opening = None, threading.Lock()

    def fetch(self, options: AwsSecretsReference, *, forced: bool) -> Document:
        del forced
        asked = options.model_dump(by_alias=True, exclude={"field", "refresh"}, exclude_none=True)
        errors, before = self._botocore.exceptions, _asking.set(True)
        try:
            with self._opening:
                self._client = client = self._client or _client(self._botocore, self._settings)
            reply = client.get_secret_value(**asked)
        except (errors.ClientError, errors.BotoCoreError) as error:
            if _LOGIN.match(code := _code(error)):
                self._client = None  # a new one reads the files again that a session reads once
            failure = Failure.DENIED if _DENIED.match(code) else Failure.TRANSIENT
            failure = Failure.ABSENT if _ABSENT.match(code) else failure
            hint = _HINT.get(failure, "")
            raise SourceError(f"{options.name}: AWS {code}", failure=failure, hint=hint) from None
        finally:
            _asking.reset(before)
        if "SecretBinary" in reply:
            reason = f"{options.name}: it is a SecretBinary"
            raise SourceError(reason, failure=Failure.DENIED, hint="store it as text")
        if "SecretString" not in reply:
            raise SourceError(f"{options.name}: the reply has no SecretString")
        return Document(reply["SecretString"], version=reply.get("VersionId", ""))

    def close(self) -> None:
        if self._client is not None:
            self._client.close()


def _botocore() -> Any:
    try:
        import botocore.session  # pyright: ignore[reportUnusedImport]  # it binds `botocore`
    except ImportError as missing:
        raise MissingExtraError("aws", needed_for="AWS secrets") from missing
    for name in ("auth", "endpoint", "parsers"):  # at DEBUG they show replies and session tokens
        logging.getLogger(f"botocore.{name}").addFilter(lambda _: not _asking.get())
    return botocore


def _client(botocore: Any, settings: AwsSecretsSettings) -> Any:
    aws, limit = botocore.session.Session(profile=settings.profile), settings.timeout
    # Back-off is the keeper's business; of proxies, None would mean the environment's.
    once: dict[str, Any] = {"retries": {"total_max_attempts": 1}, "proxies": {}}
    config = botocore.config.Config(connect_timeout=limit, read_timeout=limit, **once)
    aws.set_default_client_config(config)  # for a login at STS too
    return aws.create_client("secretsmanager", settings.region, endpoint_url=settings.endpoint_url)


def _code(error: Any) -> str:
    code = getattr(error, "response", {}).get("Error", {}).get("Code", type(error).__name__)
    return code if re.fullmatch(r"[A-Za-z0-9.]{1,64}", code) else "refused"


KIND = SourceKind("aws_secrets", AwsSecretsReference, AwsSecretsSource, settings=AwsSecretsSettings)
