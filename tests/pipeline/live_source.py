"""A source whose streams a test feeds while the run goes on; pulled from, or pushing."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from tokenline.source import ByteStream, Request
from tokenline.stage import RawChunk

Sent = bytes | BaseException


class PulledStream:
    """Answers reads with what was sent; `b""` ends it."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: Mapping[str, str] = {}
        self.closed = 0
        self.taken: list[bytes] = []
        self._sent: deque[Sent] = deque()
        self._wake = asyncio.Event()

    def send(self, what: Sent) -> None:
        self._sent.append(what)
        self._wake.set()

    async def read(self) -> bytes:
        while not self._sent:
            self._wake.clear()
            await self._wake.wait()
        found = self._sent.popleft()
        if isinstance(found, BaseException):
            raise found
        self.taken.append(found)
        return found

    async def aclose(self) -> None:
        self.closed += 1


class PushedStream(PulledStream):
    """Hands over what was sent from a callback of the loop, as a socket does."""

    def __init__(self) -> None:
        super().__init__()
        self._on_data: Callable[[bytes], bool] | None = None
        self._on_end: Callable[[BaseException | None], None] | None = None
        self._flowing = False

    def send(self, what: Sent) -> None:
        self._sent.append(what)
        asyncio.get_running_loop().call_soon(self._push)

    def attach(
        self, on_data: Callable[[bytes], bool], on_end: Callable[[BaseException | None], None]
    ) -> None:
        self._on_data, self._on_end = on_data, on_end
        self.resume()

    def resume(self) -> None:
        self._flowing = True
        asyncio.get_running_loop().call_soon(self._push)

    async def aclose(self) -> None:
        await super().aclose()
        self._on_data = self._on_end = None

    def _push(self) -> None:
        while self._sent and self._flowing and self._on_data and self._on_end:
            found = self._sent.popleft()
            if not found or isinstance(found, BaseException):
                end, self._on_data = self._on_end, None
                end(None if isinstance(found, bytes) else found)
                return
            self.taken.append(found)
            self._flowing = self._on_data(found)


class LiveSource:
    """One stream; its headers come when the test says so."""

    name = "source"
    provider = "live"
    api = "live.bytes"
    operation = "chat"
    server_address: str | None = None
    server_port: int | None = None
    outlet: Any = RawChunk

    def __init__(self, *, pushes: bool) -> None:
        self.stream: PulledStream = PushedStream() if pushes else PulledStream()
        self.opened = 0
        self.headers = asyncio.Event()
        self.refusal: BaseException | None = None

    async def prepare(self) -> None:
        return

    async def open(self, request: Request) -> ByteStream:
        await self.headers.wait()
        if self.refusal is not None:
            raise self.refusal
        self.opened += 1
        return self.stream

    async def aclose(self) -> None:
        return
