from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from tenantry.context import current_tenant, use_tenant
from tenantry.errors import NoCurrentTenantError


def nobody_is_current() -> bool:
    try:
        current_tenant()
    except NoCurrentTenantError:
        return True
    return False


def test_outside_a_block_nobody_is_current() -> None:
    """Without `use_tenant` there is no default tenant, and the error says what to do."""
    with pytest.raises(NoCurrentTenantError, match=r"use_tenant\('acme'\)"):
        current_tenant()


def test_blocks_nest() -> None:
    """The innermost block counts, and what was before comes back."""
    with use_tenant("acme") as name:
        with use_tenant("globex"):
            assert "globex" == current_tenant()
        assert ("acme", "acme") == (name, current_tenant())
    assert nobody_is_current()


def test_an_error_ends_a_block_too() -> None:
    """A block that is left by an exception does not leave its tenant behind."""
    with pytest.raises(ZeroDivisionError), use_tenant("acme"):
        _ = 1 / 0
    assert nobody_is_current()


async def test_tasks_do_not_see_each_others_tenant() -> None:
    """Two tasks in their blocks at the same time have each their own."""
    both = asyncio.Barrier(2)

    async def one(name: str) -> str:
        with use_tenant(name):
            await both.wait()
            return current_tenant()

    assert ["acme", "globex"] == list(await asyncio.gather(one("acme"), one("globex")))
    assert nobody_is_current()


async def test_a_task_inherits_the_tenant_of_its_maker() -> None:
    """What is started inside a block belongs to it, also on `to_thread`'s threads."""
    with use_tenant("acme"):
        task = asyncio.create_task(asyncio.to_thread(current_tenant))
    assert "acme" == await task


def test_a_new_thread_has_no_tenant() -> None:
    """A plain thread begins outside every block."""
    found: list[bool] = []
    with use_tenant("acme"):
        thread = threading.Thread(target=lambda: found.append(nobody_is_current()))
        thread.start()
        thread.join(10)
    assert [True] == found


def test_a_block_may_be_left_in_another_context() -> None:
    """Frameworks enter and leave a dependency in different contexts: that is no error."""
    block = use_tenant("acme")
    contextvars.copy_context().run(block.__enter__)
    block.__exit__(None, None, None)
    assert nobody_is_current()
