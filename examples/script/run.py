"""Runs the script on servers of its own, and rotates the keys in the midst of it."""

import asyncio
import os
from http import HTTPStatus

import five_lines
import five_lines_async

from tenantry import ClientRegistry
from tenantry.testing import OpenAIServer, VaultServer

TENANTS = ("acme", "globex")
POLICY = 'path "secret/data/tenants/*" { capabilities = ["read"] }'


class Keys:
    """The tenants' keys: published in Vault, known to the OpenAI server."""

    def __init__(self, openai: OpenAIServer, vault: VaultServer) -> None:
        self.openai = openai
        self.vault = vault
        self.held: dict[str, str] = {}

    def rotate(self, version: int) -> None:
        """Publish new keys, and revoke the old ones at once."""
        for tenant in TENANTS:
            key = f"key-{version}-of-{tenant}"
            self.openai.allow(key, tenant=tenant, version=str(version))
            self.vault.put(f"tenants/{tenant}", {"api_key": key})
            if old := self.held.get(tenant):
                self.openai.revoke(old)
            self.held[tenant] = key


async def twice(keys: Keys) -> None:
    """Say hello, rotate, and say hello again with the clients that are held."""
    async with ClientRegistry.open(five_lines_async.CONFIG) as registry:
        await five_lines_async.say_hello(registry)
        keys.rotate(2)
        print("-- the keys were replaced in Vault, and the old ones revoked")
        await five_lines_async.say_hello(registry)


def report(server: OpenAIServer) -> None:
    """Print what the server saw: the versions of the keys that it accepted from each tenant."""
    for tenant in TENANTS:
        accepted = [
            each
            for each in server.requests
            if each.tenant == tenant and each.status == HTTPStatus.OK
        ]
        versions = " ".join(f"v{each.version}" for each in accepted)
        print(f"{tenant}: {len(accepted)} requests answered, with its key in {versions}")


def main() -> None:
    with OpenAIServer() as openai, VaultServer() as vault:
        keys = Keys(openai, vault)
        keys.rotate(1)
        vault.add_policy("tenants", POLICY)
        os.environ["VAULT_ADDR"] = vault.url
        os.environ["VAULT_TOKEN"] = vault.token(policies=["tenants"])
        os.environ["OPENAI_SERVER"] = openai.base_url
        print("-- sync")
        five_lines.main()
        print("-- async")
        asyncio.run(twice(keys))
        print("-- what the server saw")
        report(openai)


if __name__ == "__main__":
    main()
