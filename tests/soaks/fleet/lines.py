"""Lines between workers and their database: each can be cut, and frozen without a word."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

LOOPBACK = "127.0.0.1"
CHUNK = 65_536
LIMIT = 10.0  # seconds to start or to stop


class Call:
    """One connection through a line, and the one that it leads to."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._ends = (near, far)

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand on what comes, as long as the call is neither frozen nor over."""
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK):
                await self.flowing.wait()
                if writer.transport.is_closing():
                    break
                writer.write(chunk)
                await writer.drain()
        self.abort()

    def abort(self) -> None:
        self.flowing.set()  # whoever is frozen ends, too
        for end in self._ends:
            end.transport.abort()


class Line:
    """A port that leads to another one."""

    def __init__(self, lines: Lines, far: int) -> None:
        self.port = 0
        self._lines, self._far = lines, far
        self._calls: set[Call] = set()
        self._whole = True

    async def open(self) -> asyncio.Server:
        server = await asyncio.start_server(self._answer, LOOPBACK, 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def freeze(self) -> int:
        """Let nothing through on the calls that there are, and say nothing; returns how many."""
        calls = list(self._calls)
        self._lines.each(calls, lambda call: call.flowing.clear())
        return len(calls)

    def cut(self) -> None:
        """Break every call, and take none."""
        self._whole = False
        self._lines.each(list(self._calls), Call.abort)

    def mend(self) -> None:
        self._whole = True

    def hang_up(self) -> None:
        """End every call, on the loop's own thread."""
        for call in self._calls:
            call.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self._far)
        except OSError:
            writer.transport.abort()
            return
        call = Call(writer, far_writer)
        self._calls.add(call)
        if not self._whole:
            call.abort()
        await asyncio.gather(call.pump(reader, far_writer), call.pump(far_reader, writer))
        self._calls.discard(call)


class Lines:
    """So many lines to one port, from entering to leaving it."""

    def __init__(self, count: int, port: int) -> None:
        self.lines = [Line(self, port) for _ in range(count)]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._servers: list[asyncio.Server] = []

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(LIMIT)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(LIMIT)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT)
        self._loop.close()

    def each(self, calls: list[Call], do: Callable[[Call], None]) -> None:
        """Do something to calls, on the loop's thread."""
        for call in calls:
            self._loop.call_soon_threadsafe(do, call)

    async def _open(self) -> None:
        self._servers = [await line.open() for line in self.lines]

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for line in self.lines:
            line.hang_up()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
