"""How OpenAI, Azure OpenAI and the token endpoint word their errors; none repeats a credential."""

from __future__ import annotations

from http.client import INTERNAL_SERVER_ERROR, responses
from typing import TYPE_CHECKING

from tenantry.testing.openai.answers import Answer, encode
from tenantry.testing.openai.routes import Surface

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenantry.testing.openai.keys import Presented

_WRONG_KEY = (
    "Incorrect API key provided. You can find your API key at "
    "https://platform.openai.com/account/api-keys."
)
_AZURE_WRONG_KEY = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a "
    "valid key for an active subscription and use a correct regional API endpoint for your "
    "resource."
)
_OPENAI: dict[int, tuple[str, str, str | None]] = {
    401: (_WRONG_KEY, "invalid_request_error", "invalid_api_key"),
    403: ("You have no access to this resource.", "invalid_request_error", "forbidden"),
    404: ("Invalid URL or unknown object.", "invalid_request_error", None),
    405: ("Not allowed: this URL does not take that method.", "invalid_request_error", None),
    429: ("Rate limit reached for requests.", "requests", "rate_limit_exceeded"),
    500: ("The server had an error while processing your request.", "server_error", None),
    503: ("The engine is currently overloaded, please try again later.", "server_error", None),
}
_AZURE = {
    401: ("401", _AZURE_WRONG_KEY),
    403: ("403", "Access denied due to Virtual Network/Firewall rules."),
    404: ("404", "Resource not found"),
    429: ("429", "Requests have exceeded the call rate limit of your current pricing tier."),
    500: ("InternalServerError", "The server had an error while processing your request."),
    503: ("ServiceUnavailable", "The service is temporarily unable to process your request."),
}
_TOKEN = {400: "invalid_request", 401: "invalid_client", 403: "access_denied"}
_MISSING_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header "
    "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
)
_AZURE_BAD_TOKEN = (
    "Access token is missing, invalid, audience is incorrect "
    "(https://cognitiveservices.azure.com), or have expired."
)


def refuse(
    status: int,
    surface: Surface = Surface.OPENAI,
    *,
    message: str | None = None,
    retry_after: float | None = None,
) -> Answer:
    """Word an error as that surface words it; `retry_after` is in seconds."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if retry_after is not None:
        headers = ((b"retry-after", f"{retry_after:g}".encode()),)
    return Answer(status, encode(_wording(status, surface, message)), headers=headers)


def refuse_key(surface: Surface, presented: Presented) -> Answer:
    """Say 401 to a credential that is absent, wrong, revoked or expired, or to two of them."""
    absent = presented.key is None and not presented.conflicting
    message = None
    if surface.is_azure and (absent or presented.kind == "bearer"):
        message = _AZURE_BAD_TOKEN
    elif absent:
        message = _MISSING_KEY
    return refuse(401, surface, message=message)


def _wording(status: int, surface: Surface, message: str | None) -> Mapping[str, object]:
    if surface is Surface.TOKEN:
        error = _TOKEN.get(status, "server_error")
        return {"error": error, "error_description": message or _phrase(status)}
    if surface.is_azure:
        code, wording = _AZURE.get(status, (str(status), _phrase(status)))
        return {"error": {"code": code, "message": message or wording}}
    family = "server_error" if status >= INTERNAL_SERVER_ERROR else "invalid_request_error"
    text, kind, reason = _OPENAI.get(status, (_phrase(status), family, None))
    return {"error": {"message": message or text, "type": kind, "param": None, "code": reason}}


def _phrase(status: int) -> str:
    return responses.get(status, "Unknown error")
