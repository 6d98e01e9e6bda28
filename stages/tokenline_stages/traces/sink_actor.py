"""The actor of one sink: a bounded queue, batches, retries. No sink holds up another.

Life: open, then write batch after batch. A write that fails or takes too long closes the sink;
it is opened anew and the same batch is tried again, with growing pauses, until `retry_s` are
over: then the batch is dropped and counted. What finds no room in the queue meanwhile is dropped
and counted too.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from tokenline.batch import Batch
from tokenline.channel import Channel, EndOfChannel
from tokenline.clock import SYSTEM_CLOCK
from tokenline.errors import ConfigError
from tokenline.options import Capacity
from tokenline.redaction import hide_shapes
from tokenline.telemetry.attributes import SIGNAL_PROVIDER_TRACES
from tokenline.telemetry.drops import count_drops

from .options import TraceOptions
from .record import Trace
from .sink import TraceSink, TracesRejectedError

logger = logging.getLogger("tokenline")

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_CLOSE_TIMEOUT_S = 0.5
_RECORD_OVERHEAD_BYTES = 2048
_SHOWN_CHARS = 300


@dataclass(frozen=True, slots=True)
class SinkStats:
    """What became of the records given to one sink.

    Attributes:
        name: the sink's name.
        written: records written.
        waiting: records in the queue or being written.
        dropped: records lost, by reason: `queue_full`, `rejected` (the sink can never take
            them), `gave_up` (tried for `retry_s`), `closed` (the time to close was over).
        last_error: class and first line of what went wrong last.
    """

    name: str
    written: int
    waiting: int
    dropped: Mapping[str, int]
    last_error: str | None


class SinkActor:
    """Owns one sink. Made and used on the store's event loop, `stats` apart.

    Args:
        sink: the sink.
        options: bounds, batch and retry times.

    Attributes:
        task: its task.
    """

    def __init__(self, sink: TraceSink, options: TraceOptions) -> None:
        self._sink = sink
        self._options = options
        capacity = Capacity(max_items=options.queue_items, max_bytes=options.queue_bytes)
        self._channel: Channel[Trace] = Channel(capacity)
        self._offered = 0
        self._written = 0
        self._dropped: Counter[str] = Counter()
        self._last_error: str | None = None
        self._is_open = False
        self._settled = asyncio.Condition()
        self.task = asyncio.create_task(self._run(), name=f"tokenline:traces:{sink.name}")

    def offer(self, trace: Trace) -> None:
        """Queue a record; drop and count it if there is no room."""
        self._offered += 1
        size = len(trace.json) + _RECORD_OVERHEAD_BYTES
        if self._channel.closed:
            self._drop("closed", 1)
        elif not self._channel.send_nowait(Batch([trace], SYSTEM_CLOCK.now_ns(), size)):
            self._drop("queue_full", 1)

    async def flush(self) -> None:
        """Return when everything offered so far is written, or dropped."""
        target = self._offered
        async with self._settled:
            await self._settled.wait_for(lambda: self._settled_count() >= target)
        if self._is_open:
            await self._sink.flush()

    async def finish(self) -> None:
        """Write what waits, then close the sink; `stop` must follow."""
        self._channel.close()
        await asyncio.wait({self.task})

    def stop(self) -> None:
        """Give up what is not written yet, and count it."""
        self.task.cancel()
        self._drop("closed", self._offered - self._settled_count())

    def stats(self) -> SinkStats:
        """What became of the records; may be called from any thread."""
        return SinkStats(
            name=self._sink.name,
            written=self._written,
            waiting=self._offered - self._settled_count(),
            dropped={reason: count for reason, count in self._dropped.items() if count},
            last_error=self._last_error,
        )

    def _settled_count(self) -> int:
        return self._written + sum(self._dropped.values())

    def _drop(self, reason: str, count: int) -> None:
        self._dropped[reason] += count
        count_drops(SIGNAL_PROVIDER_TRACES, count)

    # --- the work --------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            # Early, not with the first record: what needs a thread must have it before the
            # process ends.
            await self._attempt([])
            while batch := await self._collect():
                await self._settle(batch)
        finally:
            await self._close_sink()

    async def _collect(self) -> list[Trace]:
        """The next batch; empty when the channel has ended."""
        batch: list[Trace] = []
        try:
            batch += (await self._channel.receive()).items
            end_s = monotonic() + self._options.batch_wait_s
            while len(batch) < self._options.batch_items:
                more = self._channel.receive_nowait()
                if more is not None:
                    batch += more.items
                    continue
                left_s = end_s - monotonic()
                if left_s <= 0:
                    break
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._channel.wait_readable(), left_s)
        except EndOfChannel:
            pass
        return batch

    async def _settle(self, batch: list[Trace]) -> None:
        """Write a batch or drop it, and tell those who wait for that."""
        end_s = monotonic() + self._options.retry_s
        pause_s = _FIRST_PAUSE_S
        while not await self._attempt(batch):
            if monotonic() + pause_s > end_s:
                self._drop("gave_up", len(batch))
                logger.warning(
                    "%d traces were dropped, %s failed for %g s: %s",
                    len(batch), self._sink.name, self._options.retry_s, self._last_error,
                )  # fmt: skip
                break
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        async with self._settled:
            self._settled.notify_all()

    async def _attempt(self, batch: list[Trace]) -> bool:
        """Open the sink if it is not, write a batch if there is one; False if that failed."""
        try:
            async with asyncio.timeout(self._options.write_timeout_s):
                if not self._is_open:
                    await self._sink.open()
                    self._is_open = True
                if batch:
                    await self._sink.write(batch)
        except TracesRejectedError as error:
            self._note(error)
            self._drop("rejected", error.count)
            self._written += len(batch) - error.count
            return True
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise  # ours: the store is closing; else it is the sink's own
            self._note(error)
            await self._close_sink()
            return False
        self._written += len(batch)
        return True

    def _note(self, error: BaseException) -> None:
        first = not self._last_error
        lines = str(error).splitlines() or [""]
        text = f"{type(error).__name__}: {lines[0]}" if lines[0] else type(error).__name__
        self._last_error = hide_shapes(text)[:_SHOWN_CHARS]
        if first:
            level = logging.ERROR if isinstance(error, ConfigError) else logging.WARNING
            logger.log(level, "traces to %s: %s", self._sink.name, self._last_error)

    async def _close_sink(self) -> None:
        self._is_open = False
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._sink.aclose()
        except Exception as error:
            logger.debug("%s did not close: %s", self._sink.name, type(error).__name__)
