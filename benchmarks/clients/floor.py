"""The floor: the least a Python client can do and still read every token.

A raw asyncio protocol on a kept-alive socket, HTTP chunks taken apart, SSE events split, each
decoded into a typed struct. No limits, no errors, no queue, no accumulation, no telemetry.

Two forms. `Floor` counts tokens inside the read callback: no task learns of a token, only of the
end. `FloorAwaited` hands what each read brought to the task that asked for the stream, as every
client must whose caller writes `async for`: a task wake-up a read more, and nothing else.
"""

import asyncio
import ssl
from collections.abc import Mapping
from time import perf_counter_ns
from typing import Any, ClassVar
from urllib.parse import urlsplit

import msgspec

from .contract import CHAT


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct, gc=False):
    index: int = 0
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct, gc=False):
    role: str | None = None
    content: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta
    index: int = 0
    finish_reason: str | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice]
    id: str | None = None
    model: str | None = None
    usage: _Usage | None = None


_decode = msgspec.json.Decoder(_Chunk).decode


class _Reader(asyncio.Protocol):
    """One response at a time; `done` resolves to the number of deltas."""

    def __init__(self) -> None:
        self.done: asyncio.Future[int] | None = None
        self.stamps: list[int] | None = None
        self.transport: asyncio.Transport | None = None
        self._reset()

    def _reset(self) -> None:
        self._raw = b""
        self._events = b""
        self._in_body = False
        self._count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._raw += data
        if not self._in_body:
            _head, separator, rest = self._raw.partition(b"\r\n\r\n")
            if not separator:
                return
            self._in_body = True
            self._raw = rest
        if self._take_chunks():
            count, done = self._count, self.done
            self._reset()
            if done is not None and not done.done():
                done.set_result(count)

    def _take_chunks(self) -> bool:
        """Take whole HTTP chunks off the buffer; True at the last one."""
        raw = self._raw
        at = 0
        parts = []
        ended = False
        while True:
            line = raw.find(b"\r\n", at)
            if line < 0:
                break
            size = int(raw[at:line], 16)
            if len(raw) < line + 4 + size:
                break
            parts.append(raw[line + 2 : line + 2 + size])
            at = line + 4 + size
            if size == 0:
                ended = True
                break
        self._raw = raw[at:]
        self._take_events(b"".join(parts))
        return ended

    def _take_events(self, data: bytes) -> None:
        *events, self._events = (self._events + data).split(b"\n\n")
        count = 0
        for event in events:
            if event.startswith(b"data: {"):
                chunk = _decode(event[6:])
                if chunk.choices and chunk.choices[0].delta.content:
                    count += 1
                    if self.stamps is not None:
                        self.stamps.append(perf_counter_ns())
        self._count += count


class _Handing(_Reader):
    """Leaves the chunks of a read to a task; `some` resolves when there are any, or the end."""

    def __init__(self) -> None:
        super().__init__()
        self.chunks: list[_Chunk] = []
        self.some: asyncio.Future[None] | None = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        done = self.done is not None and self.done.done()
        if self.some is not None and (self.chunks or done) and not self.some.done():
            self.some.set_result(None)

    def _take_events(self, data: bytes) -> None:
        *events, self._events = (self._events + data).split(b"\n\n")
        for event in events:
            if event.startswith(b"data: {"):
                self.chunks.append(_decode(event[6:]))


class Floor:
    """See the module's docstring."""

    reader: ClassVar[type[_Reader]] = _Reader
    path: ClassVar[str] = "/v1/chat/completions"
    payload: ClassVar[Mapping[str, Any]] = CHAT

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._host = address.hostname or "127.0.0.1"
        self._port = address.port or 80
        self._tls = ssl.create_default_context() if address.scheme == "https" else None
        self._idle: list[_Reader] = []

    async def read(self, headers: Mapping[str, str], stamps: list[int] | None = None) -> int:
        """See `Client.read`."""
        loop = asyncio.get_running_loop()
        if self._idle:
            reader = self._idle.pop()
        else:
            _, reader = await loop.create_connection(
                self.reader, self._host, self._port, ssl=self._tls
            )
        reader.stamps = stamps
        body = msgspec.json.encode({**self.payload, "stream": True})
        further = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {self._host}\r\n"
            f"Authorization: Bearer x\r\nContent-Type: application/json\r\n{further}"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        reader.done = loop.create_future()
        assert reader.transport is not None
        reader.transport.write(head.encode() + body)
        count = await self._count(reader)
        self._idle.append(reader)
        return count

    async def _count(self, reader: _Reader) -> int:
        assert reader.done is not None
        return await reader.done

    async def aclose(self) -> None:
        """See `Client.aclose`."""
        for reader in self._idle:
            if reader.transport is not None:
                reader.transport.close()
        self._idle.clear()


class FloorAwaited(Floor):
    """See the module's docstring."""

    reader: ClassVar[type[_Reader]] = _Handing

    async def _count(self, reader: _Reader) -> int:
        assert isinstance(reader, _Handing)
        assert reader.done is not None
        loop = asyncio.get_running_loop()
        count = 0
        while reader.chunks or not reader.done.done():
            if not reader.chunks:
                reader.some = loop.create_future()
                await reader.some
            chunks, reader.chunks = reader.chunks, []
            for chunk in chunks:
                if chunk.choices and chunk.choices[0].delta.content:
                    count += 1
                    if reader.stamps is not None:
                        reader.stamps.append(perf_counter_ns())
        return count
