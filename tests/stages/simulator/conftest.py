"""A bare client on a socket, so that nothing between the test and the bytes tidies them up."""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tokenline_stages.simulator import Plan, Simulator

CHAT = "/v1/chat/completions"


@dataclass
class RawAnswer:
    """What came back: bytes as they were, and how it ended."""

    reads: list[bytes] = field(default_factory=list)
    read_s: list[float] = field(default_factory=list)
    error: Exception | None = None
    ended: bool = False
    start_s: float = 0.0

    @property
    def raw(self) -> bytes:
        return b"".join(self.reads)

    @property
    def status(self) -> int:
        return int(self.raw.split(b" ", 2)[1])

    @property
    def headers(self) -> dict[str, str]:
        lines = self.raw.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}

    @property
    def payload(self) -> bytes:
        """The body as on the wire."""
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def chunks(self) -> list[bytes]:
        """The whole chunks of a chunked body; the last is empty if the body is complete."""
        chunks: list[bytes] = []
        rest = self.payload
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            chunks.append(rest[:length])
            rest = rest[length + 2 :]
        return chunks

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def complete(self) -> bool:
        return self.payload.endswith(b"0\r\n\r\n")

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON of each whole SSE event."""
        events = [e for e in self.body.split(b"\n\n")[:-1] if b"data: {" in e]
        return [json.loads(event.partition(b"data: ")[2]) for event in events]

    @property
    def text(self) -> str:
        """Text of a chat stream."""
        choices = [c for event in self.events for c in event.get("choices", ())]
        return "".join(choice["delta"].get("content") or "" for choice in choices)


def request_bytes(
    path: str, payload: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> bytes:
    body = json.dumps({"model": "m", "stream": True} | (payload or {})).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {"Connection": "close"}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def fetch_raw(
    simulator: Simulator,
    path: str = CHAT,
    payload: dict[str, Any] | None = None,
    *,
    headers: dict[str, str] | None = None,
    until_s: float = 5.0,
) -> RawAnswer:
    """Send a request and read until the connection ends, or for so long."""
    port = int(simulator.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = RawAnswer(start_s=time.perf_counter())
    writer.write(request_bytes(path, payload, headers))
    try:
        async with asyncio.timeout(until_s):
            while data := await reader.read(65536):
                answer.reads.append(data)
                answer.read_s.append(time.perf_counter())
        answer.ended = True
    except (ConnectionError, TimeoutError) as error:
        answer.error = error
    writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return answer


Fetch = Callable[..., Awaitable[RawAnswer]]


@pytest.fixture
def fetch() -> Fetch:
    """`await fetch(plan_or_simulator, path, payload, headers=..., until_s=...)`."""

    async def fetch(plan: Plan | Simulator, *args: Any, **kwargs: Any) -> RawAnswer:
        if isinstance(plan, Simulator):
            return await fetch_raw(plan, *args, **kwargs)
        async with Simulator(plan) as simulator:
            return await fetch_raw(simulator, *args, **kwargs)

    return fetch
