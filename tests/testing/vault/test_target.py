from __future__ import annotations

from tenantry.testing.vault import VaultTarget, vault_target


def test_the_environment_names_a_real_vault() -> None:
    """Where there is an address, no server is started."""
    environ = {"TENANTRY_TEST_VAULT_ADDR": "https://vault.test", "TENANTRY_TEST_VAULT_TOKEN": "t"}

    with vault_target(environ) as target:
        assert VaultTarget("https://vault.test", "t") == target


def test_without_one_a_server_is_started() -> None:
    """An embedded server is the target, and its token is not shown."""
    with vault_target({}) as target:
        assert target.server is not None
        assert (target.server.url, "root") == (target.url, target.token)
        assert "token" not in repr(target)
