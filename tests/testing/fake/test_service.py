"""What a fake registry's tenants are answered: failures as ordered, and as the SDK sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openai
import pytest

from tenantry.testing import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry("acme", "globex") as made:
        yield made


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (401, openai.AuthenticationError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (ConnectionError, openai.APIConnectionError),
        (TimeoutError, openai.APITimeoutError),
    ],
)
async def test_a_failure_is_what_the_sdk_makes_of_it(
    registry: FakeRegistry, fault: int | type[ConnectionError], error: type[Exception]
) -> None:
    """Each failure is raised as the SDK's own error, for sync and async clients, and then over."""
    registry.fail_next("acme", fault, times=2)
    client = registry.client("acme", max_retries=0)
    with pytest.raises(error):
        client.models.list()
    with pytest.raises(error):
        await registry.async_client("acme", max_retries=0).models.list()
    client.models.list()
    registry.client("globex").models.list()
    status = fault if isinstance(fault, int) else None
    assert [status, status, 200] == [sent.status for sent in registry.sent("acme")]


def test_the_sdk_tries_again_at_once(registry: FakeRegistry) -> None:
    """A retry is sent without waiting for what Retry-After says, which handlers still see."""
    registry.fail_next("acme", 429, retry_after=30)
    registry.client("acme").models.list()
    assert [429, 200] == [sent.status for sent in registry.sent()]
    registry.fail_next("acme", 429, retry_after=30)
    with pytest.raises(openai.RateLimitError) as caught:
        registry.client("acme", max_retries=0).models.list()
    assert "30" == caught.value.response.headers["retry-after"]


def test_failures_of_one_path_leave_the_others_alone(registry: FakeRegistry) -> None:
    """An order may be for requests whose path ends like this; orders add up."""
    client = registry.client("acme", max_retries=0)
    registry.fail_next("acme", 500, path="responses")
    registry.fail_next("acme", 503)
    with pytest.raises(openai.InternalServerError):
        client.models.list()
    with pytest.raises(openai.InternalServerError):
        client.responses.create(model="any", input="hi")
    client.models.list()
    assert [503, 500, 200] == [sent.status for sent in registry.sent()]


def test_a_success_is_no_failure(registry: FakeRegistry) -> None:
    """A status that is no error, and no failure at all, are refused where they are ordered."""
    with pytest.raises(ValueError, match="200"):
        registry.fail_next("acme", 200)
    with pytest.raises(ValueError, match="one time or more, not 0"):
        registry.fail_next("acme", 500, times=0)


def test_files_are_each_tenants_own(registry: FakeRegistry) -> None:
    """What one tenant uploads another does not find."""
    made = registry.client("acme").files.create(file=b"text", purpose="batch")
    assert b"text" == registry.client("acme").files.content(made.id).read()
    with pytest.raises(openai.NotFoundError):
        registry.client("globex").files.retrieve(made.id)
