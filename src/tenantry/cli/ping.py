"""`tenantry ping`: does each tenant's key open its door?"""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import click

from tenantry.cli import exits
from tenantry.cli.names import names
from tenantry.cli.terminal import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from tenantry.cli.pinging import Door, Pong
    from tenantry.cli.terminal import Terminal


@click.command("ping")
@click.argument("tenants", nargs=-1, metavar="[TENANT]...", shell_complete=names)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 256),
    default=8,
    show_default=True,
    help="How many at a time.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 600),
    default=15.0,
    show_default=True,
    help="Seconds for each of them, its credential included.",
)
@click.pass_obj
def command(terminal: Terminal, tenants: tuple[str, ...], concurrency: int, timeout: float) -> None:
    """List the models of each TENANT, of all that are served unless named: one request each.

    Fetches their secrets and goes the way that the service's requests go: to each address of a
    tenant, with its proxy and its trust, without retries. Ends with 4 where one failed.
    """
    from tenantry.cli.fresh import fresh
    from tenantry.cli.pinging import doors, ping

    with fresh(terminal) as read:
        wanted = doors(read, tenants)
        with _progress(terminal, len(wanted)) as answered:
            asking = ping(
                read.registry(),
                wanted,
                concurrency=concurrency,
                timeout=timeout,
                answered=answered,
            )
            pongs = asyncio.run(asking)
    show(terminal, wanted, pongs)
    sys.exit(exits.UPSTREAM if any(pong.fault for pong in pongs) else exits.OK)


@contextmanager
def _progress(terminal: Terminal, length: int) -> Generator[Callable[[], object]]:
    """Draw a bar where somebody looks; gives what is called after each."""
    if not terminal.watched:
        yield lambda: None
        return
    with click.progressbar(length=length, label="pinging", file=sys.stderr, width=0) as bar:
        yield partial(bar.update, 1)


def show(terminal: Terminal, doors: Sequence[Door], pongs: Sequence[Pong]) -> None:
    """Print what came back."""
    found = list(zip(doors, pongs, strict=True))
    if terminal.as_json:
        terminal.data([door.as_dict() | pong.as_dict() for door, pong in found])
        return
    terminal.standing()
    rows = [
        (door.name, door.provider, _count(pong.models), _ms(pong), pong.fault or "ok")
        for door, pong in found
    ]
    terminal.table(
        ("tenant", "provider", "models", "ms", "result"),
        rows,
        styles=["red" if pong.fault else "" for pong in pongs],
        right=("models", "ms"),
    )
    for door, pong in found:
        if pong.fault:
            terminal.prose(f"{door.name}: ", pong.detail)
    failed = sum(bool(pong.fault) for pong in pongs)
    terminal.note(f"{counted(len(pongs), 'request')}, {counted(failed, 'failure')}")


def _count(models: int | None) -> str:
    return "-" if models is None else str(models)


def _ms(pong: Pong) -> str:
    return f"{pong.seconds * 1000:.0f}"
