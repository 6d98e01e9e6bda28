"""Every case: a part of the pipeline, its input made beforehand, and what is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from benchmarks.clients.floor import _decode as decode_chunk
from tokenline.batch import Batch
from tokenline.channel import Channel
from tokenline_stages.accumulator import accumulator
from tokenline_stages.wire.sse import SseDecoder

from . import runs, sockets
from .case import FLOOR, Case, Work, looped
from .wire import CHAT, CONTEXT, WIRES, Wire, chunks, events, reads, wire_items


def _floor() -> tuple[Work, int]:
    """Events split and decoded by type, nothing else: see `benchmarks.clients.floor`."""
    bodies = reads(CHAT)

    def work() -> int:
        count = 0
        rest = b""
        for data in bodies:
            *found, rest = (rest + data).split(b"\n\n")
            for event in found:
                if event.startswith(b"data: {"):
                    chunk = decode_chunk(event[6:])
                    if chunk.choices and chunk.choices[0].delta.content:
                        count += 1
        return count

    return work, _count(CHAT)


def _sse(bodies: list[bytes]) -> tuple[Work, int]:
    def work() -> None:
        decoder = SseDecoder(CONTEXT.limits)
        for data in bodies:
            decoder.feed(data)

    return work, _count(CHAT)


def _step(stage: Any, batches: list[list[Any]], units: int) -> tuple[Work, int]:
    def work() -> None:
        step = stage.open(CONTEXT)
        for batch in batches:
            step.feed(batch, 0, [])

    return work, units


def _parser(wire: Wire) -> tuple[Work, int]:
    return _step(wire.find().parser(), [[chunk] for chunk in chunks(wire)], _count(wire))


def _normalizer(wire: Wire) -> tuple[Work, int]:
    return _step(wire.find().normalizer(), wire_items(wire), _count(wire))


def _accumulator(wire: Wire) -> tuple[Work, int]:
    return _step(accumulator(wire.provider), events(wire), _count(wire))


def _channel(batches: list[list[Any]]) -> tuple[Work, int]:
    """A queue operation in and one out, nobody waiting."""
    given = [Batch(items, 0, 100 * len(items)) for items in batches]

    def work() -> None:
        channel: Channel[Any] = Channel()
        for batch in given:
            channel.send_nowait(batch)
            channel.receive_nowait()

    return work, sum(map(len, batches))


def _hop(batches: list[list[Any]]) -> tuple[Work, int]:
    """The same with a receiver that sleeps before each batch: one task wake-up for each."""
    given = [Batch(items, 0, 100 * len(items)) for items in batches]

    async def receive(channel: Channel[Any]) -> None:
        for _ in given:
            await channel.receive()

    async def work() -> None:
        channel: Channel[Any] = Channel()
        receiving = asyncio.get_running_loop().create_task(receive(channel))
        for batch in given:
            await asyncio.sleep(0)
            channel.send_nowait(batch)
        await receiving

    return looped(work), sum(map(len, batches))


def _count(wire: Wire) -> int:
    """Events on the wire, content or not."""
    return len(reads(wire, 1))


def _singly(batches: list[list[Any]]) -> list[list[Any]]:
    return [[item] for batch in batches for item in batch]


def _shared() -> Iterator[Case]:
    yield Case(FLOOR, "event", _floor)
    yield Case("sse decode", "event", lambda: _sse(reads(CHAT)))
    yield Case("sse decode, one a read", "event", lambda: _sse(reads(CHAT, 1)))
    yield Case("channel, batch", "event", lambda: _channel(events(CHAT)))
    yield Case("channel, item", "event", lambda: _channel(_singly(events(CHAT))))
    yield Case("channel that wakes a task, batch", "event", lambda: _hop(events(CHAT)))
    yield Case("channel that wakes a task, item", "event", lambda: _hop(_singly(events(CHAT))))


def _each(wire: Wire) -> Iterator[Case]:
    name = wire.api
    yield Case(f"parser {name}", "event", lambda: _parser(wire))
    yield Case(f"normalizer {name}", "event", lambda: _normalizer(wire))
    yield Case(f"accumulator {name}", "event", lambda: _accumulator(wire))


CASES: dict[str, Case] = {
    case.name: case
    for case in (
        *_shared(),
        *(case for wire in WIRES for case in _each(wire)),
        *runs.CASES,
        *sockets.CASES,
    )
}
"""Every case by name."""
