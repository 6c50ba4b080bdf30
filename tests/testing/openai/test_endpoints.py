from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import openai
import pytest

from tenantry.testing.openai import OpenAIServer
from tenantry.testing.openai.replies import COORDINATE

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

REPLY = "Hello from tenantry."
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]


def test_a_chat_completion_echoes_the_model(client: openai.OpenAI) -> None:
    """A chat completion has the model that was asked for, the reply and its usage."""
    completion = client.chat.completions.create(model="gpt-any", messages=MESSAGES)
    assert ("gpt-any", REPLY) == (completion.model, completion.choices[0].message.content)
    assert completion.usage is not None
    assert 3 == completion.usage.completion_tokens


def test_a_chat_streams(client: openai.OpenAI) -> None:
    """A streamed chat completion arrives word by word, and usage only on demand."""
    chunks = list(client.chat.completions.create(model="gpt-any", messages=MESSAGES, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert (REPLY, 5) == (text, len(chunks))
    assert {None} == {chunk.usage for chunk in chunks}


def test_a_chat_stream_tells_usage(client: openai.OpenAI) -> None:
    """With include_usage the last chunk has the usage."""
    *_, last = client.chat.completions.create(
        model="gpt-any", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    assert last.usage is not None
    assert 3 == last.usage.completion_tokens


async def test_async_clients_stream(server: OpenAIServer, client: openai.OpenAI) -> None:
    """An async client gets the same stream."""
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key=client.api_key) as asynchronous:
        stream = await asynchronous.chat.completions.create(
            model="gpt-any", messages=MESSAGES, stream=True
        )
        words = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert REPLY == "".join(words)


async def test_async_clients_are_answered(server: OpenAIServer, client: openai.OpenAI) -> None:
    """An async client gets the same completion."""
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key=client.api_key) as asynchronous:
        completion = await asynchronous.chat.completions.create(model="m", messages=MESSAGES)
    assert REPLY == completion.choices[0].message.content


def test_a_raw_response_has_a_request_id(server: OpenAIServer, client: openai.OpenAI) -> None:
    """The x-request-id of an answer is the number of its record."""
    raw = client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    assert f"req_{server.requests[-1].sequence}" == raw.headers["x-request-id"]
    assert REPLY == raw.parse().choices[0].message.content


def test_a_response_is_complete(client: openai.OpenAI) -> None:
    """A response has the model that was asked for, the reply and its usage."""
    response = client.responses.create(model="gpt-any", input="Hi")
    assert ("gpt-any", "completed", REPLY) == (
        response.model,
        response.status,
        response.output_text,
    )
    assert response.usage is not None
    assert 3 == response.usage.output_tokens


def test_a_response_streams(client: openai.OpenAI) -> None:
    """A streamed response goes from created over its deltas to completed, in order."""
    events = list(client.responses.create(model="gpt-any", input="Hi", stream=True))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert (REPLY, "response.created") == ("".join(deltas), events[0].type)
    assert all(before.sequence_number < after.sequence_number for before, after in pairwise(events))


def test_the_sdk_accumulates_a_streamed_response(client: openai.OpenAI) -> None:
    """The SDK's own stream helper puts the events together to the response."""
    with client.responses.stream(model="gpt-any", input="Hi") as stream:
        assert REPLY == stream.get_final_response().output_text


def test_embeddings_have_one_vector_per_text(client: openai.OpenAI) -> None:
    """A list of texts gives as many vectors, of the dimensions asked for."""
    result = client.embeddings.create(model="e", input=["a", "b"], dimensions=4)
    assert [[COORDINATE] * 4] * 2 == [item.embedding for item in result.data]


def test_embeddings_come_as_numbers_too(client: openai.OpenAI) -> None:
    """With the encoding float one list of tokens gives one vector of numbers."""
    result = client.embeddings.create(model="e", input=[1, 2, 3], encoding_format="float")
    assert [[COORDINATE] * 8] == [item.embedding for item in result.data]


def test_models_are_listed(client: openai.OpenAI) -> None:
    """The listed models are those that the server was made with."""
    assert ["gpt-4o-mini", "text-embedding-3-small"] == [model.id for model in client.models.list()]


def test_any_model_can_be_retrieved(client: openai.OpenAI) -> None:
    """A model with a slash in its name is found as well."""
    assert "org/gpt any" == client.models.retrieve("org/gpt any").id


def test_a_file_lives_from_upload_to_deletion(client: openai.OpenAI) -> None:
    """An uploaded file is described, listed, read to the byte, and gone once deleted."""
    content = bytes(range(256)) * 8
    uploaded = client.files.create(file=("all bytes.bin", content), purpose="batch")
    assert ("all bytes.bin", "batch", 2048) == (uploaded.filename, uploaded.purpose, uploaded.bytes)
    assert uploaded == client.files.retrieve(uploaded.id)
    assert [uploaded] == list(client.files.list())
    assert content == client.files.content(uploaded.id).read()
    assert client.files.delete(uploaded.id).deleted
    assert [] == list(client.files.list())


@pytest.mark.parametrize("method", ["retrieve", "content", "delete"])
def test_an_absent_file_is_not_found(client: openai.OpenAI, method: str) -> None:
    """Reading or deleting a file that is not there is a 404."""
    with pytest.raises(openai.NotFoundError):
        getattr(client.files, method)("file-absent")


def test_an_upload_must_be_a_form(client: openai.OpenAI) -> None:
    """A JSON body is no upload."""
    with pytest.raises(openai.BadRequestError, match="multipart/form-data"):
        client.post("/files", body={"purpose": "batch"}, cast_to=object)


def test_an_upload_needs_both_fields(client: openai.OpenAI) -> None:
    """A form without a purpose is refused."""
    with pytest.raises(openai.BadRequestError, match="purpose"):
        client.post(
            "/files",
            body={},
            files={"file": ("a", b"1")},
            options={"headers": {"Content-Type": "multipart/form-data"}},
            cast_to=object,
        )


def test_the_organization_has_a_project(client: openai.OpenAI) -> None:
    """The admin endpoint lists one project."""
    projects: object = client.get("/organization/projects", cast_to=object)
    assert isinstance(projects, dict)
    assert ["proj_tenantry"] == [project["id"] for project in projects["data"]]


@pytest.mark.skipif(not hasattr(openai.OpenAI, "admin"), reason="openai before 2.34")
def test_the_admin_client_sends_its_own_key(server: OpenAIServer, client: openai.OpenAI) -> None:
    """The SDK's admin endpoints are served, and recorded with the admin key."""
    server.allow("sk-admin-1", tenant="operations")
    with client.with_options(admin_api_key="sk-admin-1") as admin:
        assert ["tenantry"] == [
            project.name for project in admin.admin.organization.projects.list()
        ]
    assert 1 == server.count(tenant="operations", path="/organization/projects")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/chat/completions", {"messages": []}),
        ("/chat/completions", {"model": 4}),
        ("/responses", {}),
        ("/embeddings", {"input": "a"}),
        ("/embeddings", {"model": "e", "input": "a", "dimensions": 0}),
        ("/embeddings", {"model": "e", "input": "a", "dimensions": "8"}),
        ("/embeddings", ["no object"]),
    ],
)
def test_a_wrong_body_is_a_bad_request(client: openai.OpenAI, path: str, body: object) -> None:
    """A body without a model, or with nonsense, is a 400."""
    with pytest.raises(openai.BadRequestError):
        client.post(path, body=body, cast_to=object)


def test_a_body_must_be_json(client: openai.OpenAI) -> None:
    """A body that is not JSON is a 400."""
    with pytest.raises(openai.BadRequestError, match="could not parse the JSON"):
        client.post("/responses", cast_to=object)


def test_a_method_that_is_not_offered(client: openai.OpenAI) -> None:
    """A known path with a foreign method is a 405."""
    with pytest.raises(openai.APIStatusError) as caught:
        client.delete("/models", cast_to=object)
    assert 405 == caught.value.status_code


def test_the_reply_can_be_chosen() -> None:
    """The server says what it was told to say, and lists the models that it was given."""
    with (
        OpenAIServer(keys=["k1"], reply="Ünïcode, twice", models=["m1"]) as server,
        openai.OpenAI(base_url=server.base_url, api_key="k1") as client,
    ):
        assert "Ünïcode, twice" == client.responses.create(model="m", input="Hi").output_text
        assert ["m1"] == [model.id for model in client.models.list()]
