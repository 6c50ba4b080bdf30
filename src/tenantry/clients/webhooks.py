"""Checking webhooks while their secret changes: also with the value before, and the one to come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openai import InvalidWebhookSignatureError
from openai.resources.webhooks import AsyncWebhooks, Webhooks

if TYPE_CHECKING:
    from collections.abc import Mapping


class _SeveralSecrets:
    """Stands before the SDK's class; what the caller gives as `secret` is tried alone."""

    if TYPE_CHECKING:
        _client: Any
    else:

        def verify_signature(
            self,
            payload: str | bytes,
            headers: Mapping[str, str],
            *,
            secret: str | None = None,
            tolerance: int = 300,
        ) -> None:
            """Do what the SDK does, with each value that the tenant's secret has at the moment.

            Raises:
                InvalidWebhookSignatureError: none of them signed it.
            """
            secret = self._client.webhook_secret if secret is None else secret
            try:
                super().verify_signature(payload, headers, secret=secret, tolerance=tolerance)
            except InvalidWebhookSignatureError:
                for other in self._others(secret):
                    try:
                        super().verify_signature(
                            payload, headers, secret=other, tolerance=tolerance
                        )
                    except InvalidWebhookSignatureError:
                        continue
                    return
                raise

    def _others(self, secret: str) -> list[str]:
        """Return the tenant's other values, if `secret` is one of them."""
        webhook = self._client.gate.webhook
        values = [] if webhook is None else [each.reveal() for each in webhook.peek_all()]
        return [value for value in values if value != secret] if secret in values else []


class SealedWebhooks(_SeveralSecrets, Webhooks):
    """The `webhooks` of a sealed sync client."""


class AsyncSealedWebhooks(_SeveralSecrets, AsyncWebhooks):
    """The `webhooks` of a sealed async client."""
