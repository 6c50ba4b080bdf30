"""What each operation answers to a request whose credential is valid."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tenantry.testing.openai import replies
from tenantry.testing.openai.answers import BINARY, Answer, encode, ok, stream
from tenantry.testing.openai.events import chat_events, response_events
from tenantry.testing.openai.files import read_form
from tenantry.testing.openai.refusals import refuse
from tenantry.testing.openai.routes import TOKEN_EXCHANGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.testing.openai.exchange import TokenExchange
    from tenantry.testing.openai.files import FileStore
    from tenantry.testing.openai.routes import Route

DIMENSIONS = 8
MAX_DIMENSIONS = 4096


@dataclass(frozen=True, slots=True)
class Call:
    """One request, reduced to what an operation needs."""

    method: str
    route: Route
    content_type: str
    body: bytes = field(repr=False)


class BadRequestError(Exception):
    """The body is not what the operation takes; the text is for the client."""


class Endpoints:
    """The operations of one server, by method and route template."""

    def __init__(
        self, *, reply: str, models: tuple[str, ...], files: FileStore, exchange: TokenExchange
    ) -> None:
        self._reply = reply
        self._models = models
        self._files = files
        self._operations: dict[str, dict[str, Callable[[Call], Answer]]] = {
            "chat/completions": {"POST": self._chat},
            "responses": {"POST": self._respond},
            "embeddings": {"POST": _embed},
            "models": {"GET": self._list_models},
            "models/{id}": {"GET": _show_model},
            "files": {"GET": self._list_files, "POST": self._upload},
            "files/{id}": {"GET": self._show_file, "DELETE": self._delete_file},
            "files/{id}/content": {"GET": self._file_content},
            "organization/projects": {"GET": _list_projects},
            TOKEN_EXCHANGE: {"POST": lambda call: exchange.answer(call.body)},
        }

    def answer(self, call: Call) -> Answer:
        surface = call.route.surface
        operation = self._operations[call.route.operation].get(call.method)
        if operation is None:
            return refuse(405, surface)
        try:
            return operation(call)
        except BadRequestError as error:
            return refuse(400, surface, message=str(error))

    def _chat(self, call: Call) -> Answer:
        fields = _fields(call)
        model = _model(call, fields)
        if not fields.get("stream"):
            return ok(replies.chat_completion(model, self._reply))
        options = fields.get("stream_options")
        include_usage = isinstance(options, dict) and options.get("include_usage") is True
        return stream(chat_events(model, self._reply, include_usage=include_usage))

    def _respond(self, call: Call) -> Answer:
        fields = _fields(call)
        model = _model(call, fields)
        if fields.get("stream"):
            return stream(response_events(model, self._reply))
        return ok(replies.response(model, self._reply))

    def _list_models(self, _call: Call) -> Answer:
        return ok(replies.listing([replies.model(name) for name in self._models]))

    def _list_files(self, _call: Call) -> Answer:
        return ok(replies.listing([stored.as_json() for stored in self._files.all()]))

    def _upload(self, call: Call) -> Answer:
        try:
            form = read_form(call.content_type, call.body)
            file, purpose = form["file"], form["purpose"]
        except (ValueError, KeyError) as error:
            message = "expected multipart/form-data with the fields file and purpose"
            raise BadRequestError(message) from error
        name = file.filename or "upload"
        stored = self._files.add(name, purpose.content.decode("utf-8", "replace"), file.content)
        return ok(encode(stored.as_json()))

    def _show_file(self, call: Call) -> Answer:
        stored = self._files.find(call.route.item)
        return refuse(404, call.route.surface) if stored is None else ok(encode(stored.as_json()))

    def _file_content(self, call: Call) -> Answer:
        stored = self._files.find(call.route.item)
        if stored is None:
            return refuse(404, call.route.surface)
        return Answer(200, stored.content, BINARY)

    def _delete_file(self, call: Call) -> Answer:
        if not self._files.delete(call.route.item):
            return refuse(404, call.route.surface)
        return ok(encode({"id": call.route.item, "object": "file", "deleted": True}))


def _fields(call: Call) -> dict[str, object]:
    try:
        parsed = json.loads(call.body)
    except ValueError as error:
        message = "We could not parse the JSON body of your request."
        raise BadRequestError(message) from error
    if not isinstance(parsed, dict):
        message = "The JSON body of your request must be an object."
        raise BadRequestError(message)
    return parsed


def _model(call: Call, fields: dict[str, object]) -> str:
    model = fields.get("model") or call.route.deployment
    if not isinstance(model, str):
        message = "you must provide a model parameter"
        raise BadRequestError(message)
    return model


def _embed(call: Call) -> Answer:
    fields = _fields(call)
    dimensions = fields.get("dimensions", DIMENSIONS)
    if not isinstance(dimensions, int) or not 1 <= dimensions <= MAX_DIMENSIONS:
        message = f"dimensions must be an integer from 1 to {MAX_DIMENSIONS}"
        raise BadRequestError(message)
    as_base64 = fields.get("encoding_format") == "base64"
    count = _input_count(fields.get("input"))
    return ok(replies.embeddings(_model(call, fields), count, dimensions, as_base64=as_base64))


def _input_count(given: object) -> int:
    """Count the inputs: a list of texts or of token lists is many, all else is one."""
    if isinstance(given, list) and given and not isinstance(given[0], int):
        return len(given)
    return 1


def _show_model(call: Call) -> Answer:
    return ok(encode(replies.model(call.route.item or "")))


def _list_projects(_call: Call) -> Answer:
    return ok(replies.listing([replies.project()]))
