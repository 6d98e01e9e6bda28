"""The thread that makes and writes trace records, with an event loop of its own.

A thread, because it must outlive the caller's event loops: `asyncio.run` may end right after a
run. Its work is cut into short pieces with pauses in between: a thread that computes keeps the
interpreter from the caller's loop for up to 5 ms at a time (`sys.getswitchinterval`).
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from time import perf_counter_ns, sleep
from typing import Any

from .options import TraceOptions
from .record import Trace
from .sink import TraceSink
from .sink_actor import SinkActor, SinkStats

logger = logging.getLogger("tokenline")

_GATHER_S = 0.05
_PIECE_NS = 300_000
_PAUSE_S = 0.000_3


class Worker:
    """Runs the actors of all sinks.

    Args:
        sinks: where records go.
        options: how.
        next_trace: makes the next waiting record; None if none waits.
    """

    def __init__(
        self,
        sinks: Sequence[TraceSink],
        options: TraceOptions,
        next_trace: Callable[[], Trace | None],
    ) -> None:
        self._sinks = sinks
        self._options = options
        self._next_trace = next_trace
        self._actors: list[SinkActor] = []
        self._called = False
        self._hurries = 0
        self._in_time = False
        self._ended: Future[bool] = Future()
        self._loop = asyncio.new_event_loop()
        self._work = asyncio.Event()
        self._started = asyncio.Event()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._main, name="tokenline-traces", daemon=True)

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: the process ends, no thread can be started any more.
        """
        self._thread.start()

    def wake(self) -> None:
        """Records wait. Takes no lock: may be called anywhere, by the garbage collector too."""
        if not self._called:
            self._called = True
            self._loop.call_soon_threadsafe(self._wake)

    def flush(self, timeout_s: float) -> Future[bool]:
        """Write all that waits; False if the time was up first."""
        return self._ask(self._flush(timeout_s))

    def close(self, timeout_s: float) -> Future[bool]:
        """Write all that waits, close the sinks, end the thread; False if the time was up."""
        self._ask(self._close(timeout_s))
        return self._ended

    def stats(self) -> tuple[SinkStats, ...]:
        """What became of the records, by sink."""
        return tuple(actor.stats() for actor in self._actors)

    # --- in the thread ---------------------------------------------------------------------

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        _suppress_instrumentation()
        try:
            self._loop.run_until_complete(self._run())
        except Exception:
            logger.exception("the trace writer failed; no more traces are written")
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()
            if not self._ended.done():
                self._ended.set_result(self._in_time)

    async def _run(self) -> None:
        self._actors = [SinkActor(sink, self._options) for sink in self._sinks]
        self._started.set()
        encoding = asyncio.create_task(self._encode())
        await self._stopping.wait()
        encoding.cancel()
        await asyncio.wait({encoding, *(actor.task for actor in self._actors)}, timeout=1.0)

    def _wake(self) -> None:
        self._work.set()

    async def _encode(self) -> None:
        while True:
            await self._work.wait()
            # Waking a thread costs both sides more than a record does: wake for many.
            await asyncio.sleep(_GATHER_S)
            self._work.clear()
            self._called = False
            await self._hand_over_all()

    async def _hand_over_all(self) -> None:
        piece_ends_ns = perf_counter_ns() + _PIECE_NS
        while (trace := self._next_trace()) is not None:
            for actor in self._actors:
                actor.offer(trace)
            if perf_counter_ns() >= piece_ends_ns:
                await asyncio.sleep(0)
                if not self._hurries:
                    # The thread shall pause, not this task alone: asyncio's sleep is right to a
                    # millisecond only.
                    sleep(_PAUSE_S)  # noqa: ASYNC251
                piece_ends_ns = perf_counter_ns() + _PIECE_NS

    async def _flush(self, timeout_s: float) -> bool:
        self._hurries += 1
        try:
            async with asyncio.timeout(timeout_s):
                await self._started.wait()
                await self._hand_over_all()
                await asyncio.gather(*(actor.flush() for actor in self._actors))
        except TimeoutError:
            return False
        finally:
            self._hurries -= 1
        return True

    async def _close(self, timeout_s: float) -> bool:
        self._hurries += 1
        try:
            # Some of the time is kept to close by force what does not close by itself.
            async with asyncio.timeout(0.8 * timeout_s):
                await self._started.wait()
                await self._hand_over_all()
                await asyncio.gather(*(actor.finish() for actor in self._actors))
            self._in_time = True
        except TimeoutError:
            self._in_time = False
        for actor in self._actors:
            actor.stop()
        self._stopping.set()
        return self._in_time

    def _ask(self, work: Coroutine[Any, Any, bool]) -> Future[bool]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)


def _suppress_instrumentation() -> None:
    """Instrumented database drivers shall not make spans of what is written here."""
    if "opentelemetry.context" in sys.modules:
        from opentelemetry import context

        from tokenline.telemetry.suppression import suppression_values

        context.attach(context.Context({**context.get_current(), **suppression_values("all")}))
