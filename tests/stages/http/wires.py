"""Responses in bytes, and a connection that is fed without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tokenline_stages.http.connection import HttpConnection
from tokenline_stages.http.response import HttpResponse

CHUNKED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)


def in_chunks(*parts: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """A body in chunked transfer coding."""
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + end


def with_length(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """A response with a `content-length`."""
    lines = (b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def payload_of(begun: bytes) -> bytes:
    """The payload in the beginning of a chunked body; a second, slow reading of it."""
    payload = b""
    while True:
        line, separator, begun = begun.partition(b"\n")
        size = int(line.strip().partition(b";")[0] or b"0", 16) if separator else 0
        if not size:
            return payload
        payload += begun[:size]
        begun = begun[size:].removeprefix(b"\r").removeprefix(b"\n")


def cut_at(data: bytes, places: Sequence[int]) -> list[bytes]:
    """`data` in pieces, cut at `places` (any numbers, in any order)."""
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(ends)]


class FakeTransport(asyncio.Transport):
    """Notes what the connection does with its socket."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False
        self.paused = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Bench:
    """A connection with a request under way.

    Attributes:
        freed: how often the connection became ready for another request.
        gone: how often it was closed.
    """

    def __init__(self) -> None:
        self.freed = 0
        self.gone = 0
        self.transport = FakeTransport()
        self.connection = HttpConnection(
            "peer", memoryview(bytearray(1024)), self._free, self._gone
        )
        self.connection.connection_made(self.transport)
        self._exchange: asyncio.Task[HttpResponse] | None = None

    def _free(self, connection: HttpConnection) -> None:
        self.freed += 1

    def _gone(self, connection: HttpConnection) -> None:
        self.gone += 1

    async def send(self) -> None:
        """Begin an exchange."""
        self._exchange = asyncio.ensure_future(self.connection.exchange(b"HEAD", b"BODY"))
        await asyncio.sleep(0)

    async def respond(self, *pieces: bytes) -> HttpResponse:
        """Feed the beginning of a response; gives it."""
        if self._exchange is None:
            await self.send()
        assert self._exchange is not None
        for piece in pieces:
            self.connection.data_received(piece)
        exchange, self._exchange = self._exchange, None
        return await exchange


class Collector:
    """Takes what is pushed.

    Args:
        stop_after: say False once that many calls were made.
    """

    def __init__(self, stop_after: int | None = None) -> None:
        self.calls: list[bytes] = []
        self.ends: list[BaseException | None] = []
        self.stop_after = stop_after

    @property
    def data(self) -> bytes:
        return b"".join(self.calls)

    def on_data(self, data: bytes) -> bool:
        assert not self.ends, "data after the end"
        self.calls.append(data)
        return self.stop_after is None or len(self.calls) < self.stop_after

    def on_end(self, error: BaseException | None) -> None:
        self.ends.append(error)


async def read_all(response: HttpResponse) -> bytes:
    """The whole body, by `read`."""
    data = b""
    while piece := await response.read():
        data += piece
    return data
