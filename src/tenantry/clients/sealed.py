"""The SDK's own client classes, sealed: what the environment says cannot reach them.

The SDK reads a dozen variables in its constructors, and again in every copy. These subclasses put
back what was passed after the SDK's constructor ran; a copy constructs through `self.__class__`,
so every clone is sealed like the client that it came from. Which tenant a client serves travels in
its http client, which clones share.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI

from tenantry.clients.boundary import Boundary
from tenantry.clients.errors import in_request
from tenantry.clients.gate import Gate
from tenantry.clients.slots import ADMIN_API_KEY, API_KEY, WEBHOOK_SECRET
from tenantry.clients.webhooks import AsyncSealedWebhooks, SealedWebhooks
from tenantry.clients.websockets import boundary_of, seals_websockets
from tenantry.errors import CredentialUnavailableError
from tenantry.secret import Secret

# What the SDK calls "no key" when it copies an Azure client, and what stands for one here.
NO_KEY = "<missing API key>"
_KEYS = frozenset({"", NO_KEY, API_KEY})

_AZURE_ADDRESS = ("_azure_endpoint", "_azure_deployment")  # private, and pinned by tests
# Where WebSockets go, and regions: what the gate cannot check, or knows by their base URL.
_ADDRESSES = ("data_residency", "websocket_base_url")
_PASSED = ("organization", "project", "admin_api_key")
_NONE: frozenset[str] = frozenset()


class Sealed:
    """What all sealed clients share; stands before the SDK's class."""

    if TYPE_CHECKING:
        _client: Any
        _strict_response_validation: bool
        api_key: str
    _own_webhook_secret: Secret | None = None

    def __init__(self, **options: Any) -> None:
        gate = _gate_of(options.get("http_client"))
        _refuse_credentials(gate, options)
        super().__init__(**options)
        self._restore(options)
        _check_address(gate, self)

    @property
    def gate(self) -> Gate:
        """The gate that this client's requests pass."""
        gate: Gate = self._client.gate
        return gate

    @property
    def tenant(self) -> str:
        """The name of the tenant whose client this is."""
        return self.gate.tenant

    @property
    def user_agent(self) -> str:
        """What the SDK's own class says of itself, so that a service sees no other client."""
        said: str = super().user_agent  # type: ignore[misc]
        return said.removeprefix("Sealed")

    def __repr__(self) -> str:
        if "_client" not in vars(self):  # not made yet: a traceback may show it with its locals
            return f"<{type(self).__name__}>"
        return f"<{type(self).__name__} tenant={self.tenant!r} {self.gate.boundary}>"

    def __deepcopy__(self, memo: object) -> Sealed:
        # Containers copy what they are given; a client is shared, not copied.
        return self

    def _restore(self, options: dict[str, Any]) -> None:
        """Put back what was passed, in place of what the environment put there."""
        for name in _PASSED:
            if hasattr(self, name):
                setattr(self, name, options.get(name))
        # Private, and pinned by tests: OPENAI_CUSTOM_HEADERS, and what it says of Authorization.
        vars(self)["_custom_headers"] = dict(options.get("default_headers") or {})
        if hasattr(self, "_ambient_authorizations"):
            vars(self)["_ambient_authorizations"] = _NONE

    def _held_webhook_secret(self) -> str | None:
        webhook, own = self.gate.webhook, self._own_webhook_secret
        if own is not None or webhook is None:
            return None if own is None else own.reveal()
        secret = webhook.peek()
        if secret is None:
            raise in_request(
                CredentialUnavailableError(
                    self.tenant,
                    reference=f"webhook_secret from {webhook.reference}",
                    reason="not fetched yet: it comes with the first request, or by refresh()",
                    retry_after=0.0,
                )
            )
        return secret.reveal()

    def _keep_webhook_secret(self, value: str | None) -> None:
        self._own_webhook_secret = None if value in (None, WEBHOOK_SECRET) else Secret(value)

    if not TYPE_CHECKING:  # a type checker sees the SDK's own signatures
        webhook_secret = property(
            _held_webhook_secret,
            _keep_webhook_secret,
            doc="""The secret that signs webhooks, as it is held now; reading it never waits.

            Raises:
                CredentialUnavailableError: where the tenant has one that was not fetched yet.
            """,
        )

        @functools.cached_property
        def webhooks(self) -> SealedWebhooks | AsyncSealedWebhooks:
            return SealedWebhooks(self) if isinstance(self, OpenAI) else AsyncSealedWebhooks(self)

        def copy(self, **options: Any) -> Sealed:
            if options.get("http_client") not in (None, self._client):
                raise self.gate.refusal("another http_client would not pass the tenant's gate")
            for name in _ADDRESSES:
                if options.get(name) not in (None, getattr(self, name, None)):
                    raise self.gate.refusal(f"{name} is not an option: the address is the tenant's")
            # The SDK would read the property to pass it on, while nothing may be held yet.
            own = self._own_webhook_secret
            said = options.get("webhook_secret")
            options["webhook_secret"] = said or (own.reveal() if own else WEBHOOK_SECRET)
            # Private, and pinned by tests: the SDK's copies forget it.
            strict = {"_strict_response_validation": self._strict_response_validation}
            options["_extra_kwargs"] = {**strict, **options.get("_extra_kwargs", {})}
            return super().copy(**options)

        with_options = copy


class SealedAzure(Sealed):
    """What the sealed Azure clients share."""

    def _restore(self, options: dict[str, Any]) -> None:
        super()._restore(options)
        self.api_key = NO_KEY
        # Private, and pinned by tests: below 3.4 AZURE_OPENAI_AD_TOKEN beats what was passed.
        vars(self)["_azure_ad_token"] = None

    if not TYPE_CHECKING:

        def copy(self, **options: Any) -> SealedAzure:
            twin = super().copy(**options)
            if options.get("base_url") is None:
                # Below 3.4 a copy forgets them, and `/models` would go to the deployment.
                vars(twin).update({name: vars(self)[name] for name in _AZURE_ADDRESS})
            return twin

        with_options = copy


@seals_websockets
class SealedOpenAI(Sealed, OpenAI):
    """An `openai.OpenAI` of one tenant."""


@seals_websockets
class SealedAsyncOpenAI(Sealed, AsyncOpenAI):
    """An `openai.AsyncOpenAI` of one tenant."""


@seals_websockets
class SealedAzureOpenAI(SealedAzure, AzureOpenAI):
    """An `openai.AzureOpenAI` of one tenant."""


@seals_websockets
class SealedAsyncAzureOpenAI(SealedAzure, AsyncAzureOpenAI):
    """An `openai.AsyncAzureOpenAI` of one tenant."""


def _gate_of(http_client: object) -> Gate:
    gate = getattr(http_client, "gate", None)
    if not isinstance(gate, Gate):
        message = "sealed clients are made by ClientRegistry, not by hand"
        raise TypeError(message)
    return gate


def _refuse_credentials(gate: Gate, options: dict[str, Any]) -> None:
    """Refuse a credential, or a way to get one, that is not the tenant's own."""
    asks = (gate.ask, gate.aask)
    key = options.get("api_key")
    foreign = {
        "api_key": key is not None and key not in (*_KEYS, *asks),
        "admin_api_key": options.get("admin_api_key") not in (None, ADMIN_API_KEY),
        "azure_ad_token": options.get("azure_ad_token") is not None,
        "azure_ad_token_provider": options.get("azure_ad_token_provider") not in (None, *asks),
        "workload_identity": options.get("workload_identity") is not None,
        "provider": options.get("provider") is not None,
    }
    for name, refused in foreign.items():
        if refused:
            raise gate.refusal(f"{name} is not an option: the credential is the tenant's own")


def _check_address(gate: Gate, client: Any) -> None:
    """Hold a client to the address that the tenant's first client had."""
    base_url = client.base_url
    if gate.boundary is None:
        gate.boundary = Boundary.of(base_url)
    elif reason := gate.boundary.objection(base_url):
        raise gate.refusal(f"base_url: {reason}")
    http = client._client  # noqa: SLF001  # what `Sealed` declares, and clones share
    if not hasattr(http, "socket_boundary"):
        http.socket_boundary = boundary_of(gate.boundary, client.websocket_base_url)
