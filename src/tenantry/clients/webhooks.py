"""Checking webhooks while their secret changes: also with the value before, and the one to come."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from openai import InvalidWebhookSignatureError
from openai.resources.webhooks import AsyncWebhooks, Webhooks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class _SeveralSecrets:
    """Stands before the SDK's class; what the caller gives as `secret` is tried alone.

    Errors are the SDK's own, without the frames in which they arose: those hold the secret.
    """

    if TYPE_CHECKING:
        _client: Any
    else:

        def unwrap(
            self, payload: str | bytes, headers: Mapping[str, str], *, secret: str | None = None
        ) -> Any:
            """Do what the SDK does, with each value that the tenant's secret has at the moment.

            Raises:
                InvalidWebhookSignatureError: none of them signed it.
            """
            event, error = _tried(super().unwrap, payload, headers, secret=secret)
            del secret
            if error is not None:
                raise error
            return event

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
            _, error = _tried(self._verify, payload, headers, secret, tolerance=tolerance)
            del secret
            if error is not None:
                raise error

        def _verify(
            self, payload: str | bytes, headers: Mapping[str, str], secret: str | None, **said: Any
        ) -> None:
            secret = self._client.webhook_secret if secret is None else secret
            try:
                super().verify_signature(payload, headers, secret=secret, **said)
            except InvalidWebhookSignatureError:
                for other in self._others(secret):
                    try:
                        super().verify_signature(payload, headers, secret=other, **said)
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


def _tried(act: Callable[..., Any], *said: Any, **named: Any) -> tuple[Any, Exception | None]:
    """Return what comes of it, or its error as if that arose nowhere."""
    handled = sys.exc_info()[1]  # what the caller is in the middle of: its frames are the caller's
    try:
        return act(*said, **named), None
    except Exception as error:  # noqa: BLE001  # who called raises it again
        seen: BaseException | None = error
        while seen is not None and seen is not handled:
            seen.__traceback__ = None
            seen = seen.__context__
        return None, error
