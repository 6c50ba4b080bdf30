"""What views are given by a container: objects that live as long as the process."""

from dependency_injector import containers, providers

from tenantry.integrations.dependency_injector import ClientFor, TenantryContainer
from tenantry.integrations.django import get_registry

MODEL = "gpt-4o-mini"


class Greetings:
    """Asks for a client for each piece of work."""

    def __init__(self, client_for: ClientFor) -> None:
        self._client_for = client_for

    def greet(self, tenant: str, question: str) -> str:
        client = self._client_for(tenant, timeout=30, max_retries=1)
        return client.responses.create(model=MODEL, input=question).output_text


class Container(containers.DeclarativeContainer):
    # The registry is Django's, so that views, commands and the container share one.
    openai = providers.Container(TenantryContainer, registry=providers.Callable(get_registry))
    client = openai.container.client  # what `openai.client` is, with its type
    greetings = providers.ThreadSafeSingleton(Greetings, client_for=client.provider)
