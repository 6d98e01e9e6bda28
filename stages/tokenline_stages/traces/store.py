"""The trace store: takes one record of every run, in microseconds, and has it written elsewhere."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import weakref
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

from tokenline.errors import ConfigError
from tokenline.estimate import UsageEstimator
from tokenline.record import Outcome, RunRecord
from tokenline.telemetry.attributes import SIGNAL_PROVIDER_TRACES
from tokenline.telemetry.drops import count_drops

from .cleaning import Rules
from .making import make_trace
from .options import TraceOptions
from .record import Trace
from .sink import TraceSink
from .sink_actor import SinkStats
from .taking import Taken, take
from .worker import Worker

logger = logging.getLogger("tokenline")

_WELL_ENDED = (Outcome.OK, Outcome.CANCELLED)


@dataclass(frozen=True, slots=True)
class TraceStats:
    """What became of the runs that a store was given.

    Attributes:
        taken: runs to be recorded.
        left_out: runs not to be recorded: switched off, predicate or sampling.
        waiting: records not made yet.
        dropped: records lost before any sink had them, by reason: `queue_full`, `closed`,
            `failed` (could not be made).
        sinks: the same for each sink; empty before the first run.
    """

    taken: int
    left_out: int
    waiting: int
    dropped: Mapping[str, int]
    sinks: tuple[SinkStats, ...]


class TraceStore:
    """Records runs; give it to `connect(..., traces=...)` or to a `TraceEmitter`.

    Records are made and written in a thread of the store's own: nothing of it runs on the
    caller's event loops but noting the run, and records outlive those loops. What waits is
    bounded; what finds no room is dropped, counted here and in the metric
    `tokenline.telemetry.dropped`. What is not yet written when the process ends is written then,
    for at most `exit_timeout_s`.

    Args:
        sinks: where records go.
        options: what is recorded.
        usage_estimator: counts tokens of runs that ended without any count, cancelled ones too.

    Raises:
        ConfigError: no sink.
    """

    def __init__(
        self,
        *sinks: TraceSink,
        options: TraceOptions | None = None,
        usage_estimator: UsageEstimator | None = None,
    ) -> None:
        if not sinks:
            raise ConfigError("a trace store needs a sink: a file, a database, a function ...")
        self.options = options or TraceOptions()
        self._sinks = sinks
        self._estimator = usage_estimator
        self._rules = Rules(self.options.redact_keys, self.options.redact_patterns)
        self._closed = False
        self._warned = False
        self._forget()
        count_drops(SIGNAL_PROVIDER_TRACES, 0)  # a counter is to be seen before it counts
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_calling(weakref.WeakMethod(self._forget)))

    def _forget(self) -> None:
        """Start anew; after a fork what waits is the parent's, and so is the thread."""
        self._waiting: deque[Taken] = deque()
        self._added_bytes = 0
        self._removed_bytes = 0
        self._taken = 0
        self._left_out = 0
        self._dropped: Counter[str] = Counter()
        self._worker: Worker | None = None
        self._starting = threading.Lock()

    # --- on the caller's event loop ---------------------------------------------------------

    def prepare(self) -> None:
        """Start the thread and open the sinks, if that was not done; called when a run starts."""
        if self._worker is not None or self._closed or not self.options.enabled:
            return
        with self._starting:
            if self._worker is None:
                self._start()

    def _start(self) -> None:
        worker = Worker(self._sinks, self.options, self._next_trace)
        try:
            worker.start()
        except RuntimeError:
            return  # the process ends and no thread can be started any more
        self._worker = worker
        atexit.register(self.close, self.options.exit_timeout_s)
        if self._waiting:
            worker.wake()

    def __call__(self, record: RunRecord) -> None:
        """Take a run's record. Takes no lock, never blocks, never raises."""
        if not self._wants(record):
            self._left_out += 1
            return
        self._taken += 1
        if self._closed:
            self._drop("closed")
            return
        try:
            taken = take(record, self.options.content)
        except Exception:
            self._drop("failed")
            return
        waiting_bytes = self._added_bytes - self._removed_bytes
        full = len(self._waiting) >= self.options.queue_items
        if full or waiting_bytes + taken.size_bytes > self.options.queue_bytes:
            self._drop("queue_full")
            return
        self._added_bytes += taken.size_bytes
        self._waiting.append(taken)
        if self._worker is not None:
            with suppress(RuntimeError):  # closed in this very moment
                self._worker.wake()

    def _wants(self, record: RunRecord) -> bool:
        options = self.options
        if not options.enabled:
            return False
        try:
            if options.predicate is not None and not options.predicate(record):
                return False
        except Exception:
            if not self._warned:
                self._warned = True
                logger.warning("the trace predicate raised; the run is left out", exc_info=True)
            return False
        return (
            options.sample_rate >= 1.0
            or self._is_remarkable(record)
            or _share(record.info.message_id) < options.sample_rate
        )

    def _is_remarkable(self, record: RunRecord) -> bool:
        timings = record.timings
        first_token_s = timings.since_request_s(timings.first_token_ns) or 0.0
        duration_s = (timings.ended_ns - timings.started_ns) / 1e9
        return (
            record.outcome not in _WELL_ENDED
            or first_token_s >= self.options.slow_first_token_s
            or duration_s >= self.options.slow_duration_s
        )

    def _drop(self, reason: str) -> None:
        self._dropped[reason] += 1
        count_drops(SIGNAL_PROVIDER_TRACES)

    # --- in the store's thread ---------------------------------------------------------------

    def _next_trace(self) -> Trace | None:
        while self._waiting:
            try:
                taken = self._waiting.popleft()
            except IndexError:
                break
            self._removed_bytes += taken.size_bytes
            try:
                return make_trace(taken, self.options, self._rules, self._estimator)
            except Exception as error:
                self._drop("failed")
                logger.warning("a trace could not be made: %s", type(error).__name__)
        return None

    # --- statistics and the end --------------------------------------------------------------

    @property
    def stats(self) -> TraceStats:
        """What became of the runs so far."""
        return TraceStats(
            taken=self._taken,
            left_out=self._left_out,
            waiting=len(self._waiting),
            dropped=dict(self._dropped),
            sinks=self._worker.stats() if self._worker is not None else (),
        )

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until all runs so far are written, or dropped; False if the time was up first.

        Blocks. In async code use `aflush`.
        """
        return self._wait(self._begin_flush(timeout_s), timeout_s)

    async def aflush(self, timeout_s: float = 5.0) -> bool:
        """Like `flush`, without blocking the event loop."""
        return await self._await(self._begin_flush(timeout_s), timeout_s)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write what waits, close the sinks, end the thread; False if the time was up first.

        What is not written by then is dropped and counted. Blocks; in async code use `aclose`.
        Runs that end later are counted as dropped.
        """
        done = self._wait(self._begin_close(timeout_s), timeout_s)
        return self._drop_rest() and done

    async def aclose(self, timeout_s: float = 5.0) -> bool:
        """Like `close`, without blocking the event loop."""
        done = await self._await(self._begin_close(timeout_s), timeout_s)
        return self._drop_rest() and done

    async def __aenter__(self) -> Self:
        self.prepare()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def _begin_flush(self, timeout_s: float) -> Future[bool] | None:
        self.prepare()
        worker = None if self._closed else self._worker
        return worker.flush(timeout_s) if worker is not None else None

    def _begin_close(self, timeout_s: float) -> Future[bool] | None:
        if self._closed:
            return None
        if self._waiting:
            self.prepare()
        self._closed = True
        atexit.unregister(self.close)
        return self._worker.close(timeout_s) if self._worker is not None else None

    def _drop_rest(self) -> bool:
        """Count what nobody will write any more; True if there is none."""
        lost = 0
        with suppress(IndexError):
            while True:
                self._waiting.popleft()
                self._drop("closed")
                lost += 1
        return not lost

    def _wait(self, done: Future[bool] | None, timeout_s: float) -> bool:
        if done is None:
            return True
        try:
            return done.result(timeout_s)
        except TimeoutError:
            return False

    async def _await(self, done: Future[bool] | None, timeout_s: float) -> bool:
        if done is None:
            return True
        try:
            async with asyncio.timeout(timeout_s):
                # Shielded: a caller that is cancelled must not stop the closing halfway.
                return await asyncio.shield(asyncio.wrap_future(done))
        except TimeoutError:
            return False


def _share(message_id: str) -> float:
    """A number in [0, 1) that is the same for the same id everywhere."""
    digest = blake2b(message_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def _calling(reference: weakref.WeakMethod[Callable[[], None]]) -> Callable[[], None]:
    def call() -> None:
        method = reference()
        if method is not None:
            method()

    return call
