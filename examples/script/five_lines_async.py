"""Every tenant says hello at the same time, each with its own key."""

import asyncio
from pathlib import Path

from tenantry import ClientRegistry

CONFIG = Path(__file__).with_name("tenants.yaml")
MODEL = "gpt-5"


async def hello(registry: ClientRegistry, tenant: str) -> str:
    client = registry.async_client(tenant, timeout=30)  # an openai.AsyncOpenAI
    reply = await client.responses.create(model=MODEL, input="hi")
    return f"{tenant}: {reply.output_text}"


async def say_hello(registry: ClientRegistry) -> None:
    for line in await asyncio.gather(*(hello(registry, tenant) for tenant in registry.tenants)):
        print(line)


async def main() -> None:
    async with ClientRegistry.open(CONFIG) as registry:
        await say_hello(registry)


if __name__ == "__main__":
    asyncio.run(main())
