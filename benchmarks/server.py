"""A service that answers every chat completion with the same words, from a process of its own.

It does nothing else, so that whoever asks is what takes the time. Where it was told which keys are
good, it answers all others 401.

    python -m benchmarks.server
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.machine import ROOT, cores

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = json.dumps(
    {
        "id": "chatcmpl-benchmark",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-benchmark",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Hello from a benchmark."},
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
    }
).encode()
REFUSAL = b'{"error": {"message": "wrong key", "type": "invalid_request_error", "code": null}}'
GOOD_KEY = b"PUT /key/"


def _answer(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )


ANSWER, REFUSED = _answer(b"200 OK", BODY), _answer(b"401 Unauthorized", REFUSAL)


@dataclass
class Service:
    """What all connections know: the key that is good, where not all are."""

    key: bytes = b""

    def answer(self, head: bytes) -> bytes:
        if head.startswith(GOOD_KEY):
            self.key = head[len(GOOD_KEY) :].split(b" ", 1)[0]
        elif self.key and self.key not in head:
            return REFUSED
        return ANSWER


@dataclass(eq=False)
class Conversation(asyncio.Protocol):
    """One connection; reads as much of HTTP as SDKs write."""

    service: Service
    heard: bytes = b""
    transport: asyncio.Transport | None = field(default=None, init=False)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard += data
        while (end := self._end()) is not None:
            head, self.heard = self.heard[:end], self.heard[end:]
            assert self.transport is not None
            self.transport.write(self.service.answer(head))

    def _end(self) -> int | None:
        """Return where the first request ends, if all of it is here."""
        head, blank, _ = self.heard.partition(b"\r\n\r\n")
        if not blank:
            return None
        _, _, length = head.lower().partition(b"content-length:")
        end = len(head) + len(blank) + int(length.split(b"\r\n", 1)[0] or 0)
        return end if len(self.heard) >= end else None


async def serve() -> None:
    loop, service = asyncio.get_running_loop(), Service()
    server = await loop.create_server(lambda: Conversation(service), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Whoever started the process ends it by closing its standard input.
    await loop.run_in_executor(None, sys.stdin.read)


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs."""

    port: int

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def accept_only(self, key: str) -> None:
        """Have every other key refused from now on."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(GOOD_KEY + key.encode() + b" HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")


@contextlib.contextmanager
def serving() -> Iterator[Served]:
    """Run a server on the last core, and this process and its children on the others."""
    before = cores()
    command = [sys.executable, "-m", "benchmarks.server"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        if len(before) > 1:
            os.sched_setaffinity(process.pid, before[-1:])
            os.sched_setaffinity(0, before[:-1])
        try:
            yield Served(int(process.stdout.readline()))
        finally:
            os.sched_setaffinity(0, before)
            process.communicate()


if __name__ == "__main__":
    asyncio.run(serve())
