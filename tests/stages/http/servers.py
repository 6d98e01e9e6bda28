"""Servers on loopback that answer with bytes written by hand."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from typing import Self

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]
"""Serves one connection; the number counts connections from 0."""


async def read_request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Head and body of the next request; raises `IncompleteReadError` at the end."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = next(
        int(line.partition(":")[2])
        for line in head.lower().split("\r\n")
        if line.startswith("content-length:")
    )
    return head, await reader.readexactly(length)


class Server:
    """Serves every connection with `answer`, then closes it; an async context manager.

    Attributes:
        connections: how many were accepted.
        url: `http://127.0.0.1:PORT/` or with TLS `https://localhost:PORT/`.
    """

    def __init__(
        self, answer: Answer, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> None:
        self.connections = 0
        self.url = ""
        self._answer = answer
        self._host = host
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self._host, 0, ssl=self._tls)
        port = self._server.sockets[0].getsockname()[1]
        shown = f"[{self._host}]" if ":" in self._host else self._host
        self.url = f"https://localhost:{port}/" if self._tls else f"http://{shown}:{port}/"
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        number = self.connections
        self.connections += 1
        try:
            await self._answer(reader, writer, number)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)


def always(response: bytes) -> Answer:
    """Answers every request of every connection with the same bytes."""

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        while True:
            await read_request(reader)
            writer.write(response)

    return answer


@contextlib.contextmanager
def deaf_port() -> Iterator[int]:
    """A port whose queue of connections is full: connecting to it hangs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port
        for filler in fillers:
            filler.close()
