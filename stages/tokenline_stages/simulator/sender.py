"""Puts planned writes on a socket at their planned times."""

import asyncio
import socket
import struct
import time

from aiohttp.abc import AbstractStreamWriter

from .alteration import Ending
from .frames import PLACEHOLDER
from .ledger import Entry
from .transmission import Transmission

_NS = 1e-9
_FULL_BYTES = 65_536
_WRITES_IN_A_ROW = 32
_PLACEHOLDER = PLACEHOLDER.encode()


class Sender:
    """Sends the writes of one response.

    One timer callback a write and no task wake-up, so that hundreds of paced streams fit one
    core. When the socket takes no more, the caller of `send` waits for it to drain.
    """

    def __init__(
        self, transport: asyncio.Transport, entry: Entry, plan: Transmission, message_id: str
    ) -> None:
        self._transport = transport
        self._entry = entry
        self._plan = plan
        self._message_id = message_id.encode()
        self._loop = asyncio.get_running_loop()
        self._start_s = start_time_s(entry)
        self._position = 0
        self._paused: asyncio.Future[None] | None = None

    async def send(self, writer: AbstractStreamWriter) -> None:
        """Send everything; raises `ConnectionError` when the client has left."""
        while self._position < len(self._plan.layout.payloads):
            self._paused = self._loop.create_future()
            self._step()
            try:
                await self._paused
            finally:
                self._paused = None
            if self._transport.is_closing():
                raise ConnectionResetError("the client left")
            await writer.drain()

    def _step(self) -> None:
        """Send what is due, then set the timer for the next write or wake the caller."""
        if self._paused is None or self._paused.done():
            return
        plan = self._plan
        for _ in range(_WRITES_IN_A_ROW):
            if self._position == len(plan.layout.payloads) or self._must_pause():
                self._paused.set_result(None)
                return
            due_s = self._start_s + plan.due_ns[self._position] * _NS
            if due_s > self._loop.time():
                self._loop.call_at(due_s, self._step)
                return
            self._write(plan.layout.payloads[self._position])
        self._loop.call_soon(self._step)

    def _must_pause(self) -> bool:
        closing = self._transport.is_closing()
        return closing or self._transport.get_write_buffer_size() > _FULL_BYTES

    def _write(self, payload: bytes) -> None:
        payload = payload.replace(_PLACEHOLDER, self._message_id)
        self._entry.stamp_write()
        self._position += 1
        self._transport.write(payload)


def start_time_s(entry: Entry) -> float:
    """The start of a request's plan on the running loop's clock."""
    age_ns = time.perf_counter_ns() - entry.started_ns
    return asyncio.get_running_loop().time() - age_ns * _NS


async def sleep_until(entry: Entry, due_ns: int) -> None:
    """Wait until that many nanoseconds after the plan's start."""
    delay_s = start_time_s(entry) + due_ns * _NS - asyncio.get_running_loop().time()
    if delay_s > 0:
        await asyncio.sleep(delay_s)


async def end_badly(transport: asyncio.Transport, entry: Entry, plan: Transmission) -> None:
    """Leave the body unfinished the way the plan says."""
    await sleep_until(entry, plan.ending_due_ns)
    if plan.ending is Ending.SILENCE:
        await asyncio.sleep(plan.hold_s)
    entry.close(plan.ending.value)
    if plan.ending is Ending.RESET:
        reset(transport)
    else:
        transport.close()


def reset(transport: asyncio.Transport) -> None:
    """Close with RST: SO_LINGER with a time of 0 throws away what was not sent (socket(7))."""
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
