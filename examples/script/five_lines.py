"""Every tenant says hello, with its own key."""

from pathlib import Path

from tenantry import ClientRegistry

CONFIG = Path(__file__).with_name("tenants.yaml")
MODEL = "gpt-5"


def say_hello(registry: ClientRegistry) -> None:
    for tenant in registry.tenants:
        client = registry.client(tenant, timeout=30)  # an openai.OpenAI
        reply = client.responses.create(model=MODEL, input="hi")
        print(f"{tenant}: {reply.output_text}")


def main() -> None:
    with ClientRegistry.open(CONFIG) as registry:
        say_hello(registry)


if __name__ == "__main__":
    main()
