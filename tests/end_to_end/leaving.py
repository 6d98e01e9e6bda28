"""The ways to leave a run early, and how long the provider's side takes to hear of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from time import perf_counter_ns

from tests.end_to_end.llamacpp import LlamaServer
from tokenline.errors import RunCancelledError
from tokenline.run import Run
from tokenline_stages.simulator import Simulator

WAIT_S = 5.0
"""How long to wait for the provider's side; far more than any bound that is checked."""

Until = Callable[[Run], Awaitable[None]]
"""Reads a run up to the moment to leave."""

Way = Callable[[Callable[[], Run], Until], Awaitable[int]]
"""Makes a run, reads it up to a moment and leaves; gives the stamp of leaving, ns."""


async def by_cancel(make: Callable[[], Run], until: Until) -> int:
    """`run.cancel()` while another task reads."""
    async with make() as run:
        await until(run)
        reading = asyncio.create_task(_read_all(run))
        await asyncio.sleep(0)
        left_ns = perf_counter_ns()
        run.cancel()
        with contextlib.suppress(RunCancelledError):
            await reading
    return left_ns


async def by_leaving_the_block(make: Callable[[], Run], until: Until) -> int:
    """The `async with` block ends."""
    async with make() as run:
        await until(run)
        left_ns = perf_counter_ns()
    return left_ns


async def by_cancelling_the_task(make: Callable[[], Run], until: Until) -> int:
    """The task that reads is cancelled."""
    reads_on = asyncio.Event()

    async def work() -> None:
        async with make() as run:
            await until(run)
            reads_on.set()
            await _read_all(run)

    task = asyncio.create_task(work())
    await reads_on.wait()
    await asyncio.sleep(0)
    left_ns = perf_counter_ns()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return left_ns


async def by_dropping(make: Callable[[], Run], until: Until) -> int:
    """Nobody refers to the run any more."""
    run = make()
    run.start()
    await until(run)
    left_ns = perf_counter_ns()
    del run
    return left_ns


WAYS: dict[str, Way] = {
    "cancel": by_cancel,
    "leave": by_leaving_the_block,
    "task": by_cancelling_the_task,
    "drop": by_dropping,
}


async def _read_all(run: Run) -> None:
    async for _ in run:
        pass


def until_texts(count: int) -> Until:
    """Until so many pieces of text have come."""

    async def until(run: Run) -> None:
        texts = run.text_stream()
        for _ in range(count):
            await anext(texts)

    return until


async def simulator_delay_ms(
    way: Way, make: Callable[[], Run], simulator: Simulator, texts: int
) -> float:
    """From leaving to the server's closed connection; `texts` 0 leaves before the headers."""
    simulator.ledger.clear()

    async def until_arrived(run: Run) -> None:
        while not len(simulator.ledger):
            await asyncio.sleep(0)

    async with asyncio.timeout(WAIT_S):
        left_ns = await way(make, until_texts(texts) if texts else until_arrived)
        entry = simulator.ledger.last
        while entry.ended_ns is None:
            await asyncio.sleep(0)
    assert entry.outcome == "client_gone"
    return (entry.ended_ns - left_ns) / 1e6


async def llama_delay_ms(way: Way, make: Callable[[], Run], server: LlamaServer) -> float:
    """From leaving to the line `cancel task` in the log of llama.cpp's server."""
    known = server.log().count("cancel task")
    async with asyncio.timeout(WAIT_S):
        left_ns = await way(make, until_texts(1))
        while server.log().count("cancel task") == known:
            await asyncio.sleep(0.0005)
    return (perf_counter_ns() - left_ns) / 1e6
