"""What Vault's refusals mean, and what to do about them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tenantry.errors import Failure, SourceError

if TYPE_CHECKING:
    from collections.abc import Generator

    import requests

_OK = 200
_REDIRECTS = range(300, 400)
_MEANINGS: dict[int, tuple[Failure, str]] = {
    400: (Failure.DENIED, "check the role and its secret"),
    401: (Failure.DENIED, "check how this source logs in"),
    403: (Failure.DENIED, "check the policy of the role that this source logs in as"),
    404: (Failure.ABSENT, "check the mount and the path, and that the version is not deleted"),
    405: (Failure.DENIED, "check `engine:` and the path"),
    503: (Failure.TRANSIENT, "unseal it, or wait until a node is active"),
}
_UNAVAILABLE = 503
_IN_OUR_WORDS = {404: "there is no such secret", 503: "it is sealed or not available"}


def check(response: requests.Response, **_options: object) -> None:
    """Raise what a reply means; a hook of the HTTP session, so that hvac loses nothing of it.

    hvac has no status for 412, 472, 473 and 504, and forgets Retry-After.
    """
    status = response.status_code
    response.content  # noqa: B018  # read whole, so that the connection goes back to its pool
    if status in _REDIRECTS:
        reason = "it is a standby node and names another: redirects are not followed"
        raise SourceError(reason, hint="give the address of the active node or a load balancer")
    if status == _OK and "json" not in response.headers.get("Content-Type", ""):
        reason = "the reply is not JSON"
        raise SourceError(reason, hint="is the address Vault's, and not a proxy's?")
    if status < _REDIRECTS.stop:
        return
    failure, hint = _MEANINGS.get(status, (Failure.TRANSIENT, ""))
    raise SourceError(
        f"{_said(response)} (status {status})",
        failure=failure,
        hint=hint,
        retry_after=_retry_after(response),
    )


def _said(response: requests.Response) -> str:
    """Return Vault's own words; they name paths and policies, never values."""
    ours = _IN_OUR_WORDS.get(response.status_code, "refused")
    if response.status_code == _UNAVAILABLE:
        return ours  # theirs tell of a token check that nobody asked for
    try:
        errors = response.json().get("errors") or []
    except (ValueError, AttributeError):
        errors = []
    return " ".join(" ".join(str(error).split()) for error in errors) or ours


def _retry_after(response: requests.Response) -> float | None:
    try:
        return float(response.headers["Retry-After"])
    except (KeyError, ValueError):
        return None


@contextmanager
def refuse(who: str, what: str = "") -> Generator[None]:
    """Word every failure of a request: who was asked, for what, and why it failed.

    Where `who` is only "it", the caller's words go before these.
    """
    import requests

    its = "its" if who == "it" else f"{who}: its"
    try:
        yield
    except SourceError as error:
        raise SourceError(
            f"{who}, {what}: {error.reason}" if what else error.reason,
            failure=error.failure,
            hint=error.hint,
            retry_after=error.retry_after,
        ) from None
    except requests.Timeout:
        raise SourceError(f"{who} did not answer in time") from None
    except requests.exceptions.SSLError as error:
        if "ALERT" in str(error):  # it was the server that ended the handshake
            reason, hint = f"{who} refused the TLS connection", "check the client certificate"
        else:
            reason, hint = f"{its} certificate is not trusted", "set `tls: {ca: PATH}`"
        raise SourceError(reason, hint=hint) from None
    except requests.RequestException:
        reason, hint = f"{who} cannot be reached", "check the address and the network"
        raise SourceError(reason, hint=hint) from None
    except OSError:
        reason, hint = f"{its} CA file cannot be read", "check `tls: {ca: PATH}`"
        raise SourceError(reason, hint=hint) from None


def answer(reply: Any) -> dict[str, Any]:
    """Return hvac's reply, which is a mapping exactly where Vault sent JSON.

    Raises:
        SourceError: where it did not.
    """
    if not isinstance(reply, dict):
        raise SourceError("the reply is not JSON")
    return reply
