"""The issuer is down and the credential still valid: whose calls fail?

Each library is given a credential that is valid for a while longer, inside the window in which the
library would like a new one, and an issuer that refuses. Then it is asked for the credential N
times. What is counted: calls that failed although a valid credential was held, and the longest
that a call took.

    make outage
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import azure.identity
import botocore.credentials
import google.auth.credentials
import google.auth.exceptions
from benchmarks.report import aligned
from openai.auth import WorkloadIdentityAuth

from tenantry import ClientRegistry, Document
from tenantry.testing import EntraServer, OpenAIServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CALLS = 10
HEADER = ("library", "valid for", "failed", "longest call")


class IssuerDownError(Exception):
    """What every issuer here says."""


@dataclass(frozen=True)
class Result:
    library: str
    left: float
    failed: int
    worst: float

    @property
    def cells(self) -> tuple[str, ...]:
        failed, worst = f"{self.failed}/{CALLS}", f"{1000 * self.worst:.1f} ms"
        return self.library, f"{self.left:.0f} s", failed, worst


def measured(library: str, left: float, call: Callable[[], object]) -> Result:
    failed, worst = 0, 0.0
    for _ in range(CALLS):
        began = time.perf_counter()
        try:
            call()
        except Exception:  # noqa: BLE001  # whatever it is, the call failed
            failed += 1
        worst = max(worst, time.perf_counter() - began)
    return Result(library, left, failed, worst)


def botocore_refreshable() -> Result:
    left = 500.0

    def refuse() -> Any:
        raise IssuerDownError

    expiry = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=left)
    credentials = botocore.credentials.RefreshableCredentials(
        "key", "secret", "token", expiry, refuse, "benchmark"
    )
    return measured("botocore RefreshableCredentials", left, credentials.get_frozen_credentials)


def google_auth() -> Result:
    left = 200.0

    class Credentials(google.auth.credentials.Credentials):
        def refresh(self, request: object) -> None:  # noqa: ARG002  # google-auth's signature
            raise google.auth.exceptions.RefreshError("issuer down")  # type: ignore[no-untyped-call]  # as it ships

    credentials: Any = Credentials()  # type: ignore[no-untyped-call]  # likewise
    credentials.token = "token"
    expiry = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=left)
    credentials.expiry = expiry.replace(tzinfo=None)
    return measured(
        "google-auth Credentials",
        left,
        lambda: credentials.before_request(None, "GET", "https://x.test", {}),
    )


def azure_token_provider() -> Result:
    left = 200.0
    with EntraServer() as server:
        server.token_lifetime = int(left)
        server.register_app("app", secret="secret")
        credential = azure.identity.ClientSecretCredential(
            server.directory_id,
            "app",
            "secret",
            authority=server.authority,
            disable_instance_discovery=True,
            connection_verify=str(server.ca_file),
        )
        with credential:
            provider = azure.identity.get_bearer_token_provider(credential, "https://x/.default")
            provider()
            server.outage(active=True)
            return measured("azure-identity token provider", left, provider)


def workload_identity() -> Result:
    lifetime = 20.0
    with OpenAIServer(token_lifetime=lifetime) as server:
        auth = WorkloadIdentityAuth(
            workload_identity={
                "identity_provider_id": "idp",
                "service_account_id": "account",
                "provider": {"token_type": "jwt", "get_token": lambda: "subject"},
            },
            token_exchange_url=server.token_exchange_url,
        )
        auth.get_token()
        server.fail_next(503, times=10 * CALLS)
        time.sleep(lifetime / 2 + 0.1)  # it refreshes at half a short life
        return measured("openai WorkloadIdentityAuth", lifetime / 2, auth.get_token)


def ours() -> Result:
    left = 200.0
    tokens: Iterator[Document] = iter([Document("token", lifetime=left, refresh_in=0.0)])

    def issue() -> Document:
        try:
            return next(tokens)
        except StopIteration:
            raise IssuerDownError from None

    with OpenAIServer(accept_any=True) as server:
        tenant = {"api_key": issue, "base_url": server.base_url, "max_retries": 0}
        with ClientRegistry.open({"tenants": {"acme": tenant}}, environ={}) as registry:
            client = registry.client("acme")
            client.models.list()
            # A whole request each, where the others are asked for the credential alone.
            return measured("tenantry (whole requests)", left, client.models.list)


def main() -> None:
    logging.disable()  # azure-identity warns of each failure, which the table counts
    print(f"issuer down, credential still valid, {CALLS} calls each\n")
    runs = (botocore_refreshable, google_auth, azure_token_provider, workload_identity, ours)
    print(aligned([HEADER, *(run().cells for run in runs)]))


if __name__ == "__main__":
    main()
