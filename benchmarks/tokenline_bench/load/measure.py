"""One request, measured: reads a run to its end and notes when what arrived.

The loop costs a comparison for each event; everything else is taken from the run's own record.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass

from tokenline.errors import RunCancelledError, TokenlineError
from tokenline.events import CONTENT_EVENTS, ReasoningDelta
from tokenline.record import RunRecord, StageRecord, Timings
from tokenline.run import Run
from tokenline_bench.sample import Failure, Outcome, Sample, StageTimes

_NO_TIMES = Timings(started_ns=0)
_MESSAGE_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Order:
    """What is known of a request before it is sent; meanings as in `Sample`."""

    endpoint: str
    level: int
    number: int
    conversation: int
    turn: int
    scheduled_ns: int
    worker: int = 0
    asked_input_tokens: int | None = None
    asked_output_tokens: int | None = None


class Measurement:
    """Measures one request.

    Args:
        open_run: makes the run; what it raises is noted like any failure.
        order: what it is for.
        timeout_s: longest time of the request.
        cancel_after_s: leave it on purpose that long after it was started.
    """

    def __init__(
        self,
        open_run: Callable[[], Run],
        order: Order,
        timeout_s: float | None = None,
        cancel_after_s: float | None = None,
    ) -> None:
        self._open_run = open_run
        self._run: Run | None = None
        self._order = order
        self._timeout_s = timeout_s
        self._cancel_after_s = cancel_after_s
        self._reads: array[int] = array("q")
        self._events: array[int] = array("i")
        self._reasoning = False
        self._left = False
        self.sample: Sample | None = None

    async def take(self) -> Sample:
        """Send the request and read the answer; never raises for what the server does.

        Raises:
            asyncio.CancelledError: the measurement was cancelled; `sample` has what was there.
        """
        started_ns = time.perf_counter_ns()
        outcome, failure = Outcome.OK, None
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._read()
        except RunCancelledError as error:
            outcome = Outcome.CANCELLED if self._left else Outcome.ERROR
            failure = None if self._left else _failure(error)
        except TimeoutError:
            outcome = Outcome.TIMEOUT
            failure = Failure("RequestTimeout", f"no end of the response in {self._timeout_s:g} s")
        except asyncio.CancelledError:
            self.sample = self._sample(started_ns, Outcome.UNFINISHED, None)
            raise
        except Exception as error:
            outcome, failure = Outcome.ERROR, _failure(error)
        self.sample = self._sample(started_ns, outcome, failure)
        return self.sample

    async def _read(self) -> None:
        timer = None
        self._run = self._open_run()
        async with self._run as run:
            if self._cancel_after_s is not None:
                loop = asyncio.get_running_loop()
                timer = loop.call_later(self._cancel_after_s, self._leave)
            try:
                await self._read_events(run)
            finally:
                if timer is not None:
                    timer.cancel()

    async def _read_events(self, run: Run) -> None:
        next_batch = run.next_batch
        try:
            while True:
                batch = await next_batch()
                count = 0
                for event in batch.items:
                    kind = type(event)
                    if kind in CONTENT_EVENTS:
                        count += 1
                        if kind is ReasoningDelta:
                            self._reasoning = True
                if count:
                    self._reads.append(batch.recv_ns)
                    self._events.append(count)
        except StopAsyncIteration:
            return

    def _leave(self) -> None:
        if self._run is not None:
            self._left = True
            self._run.cancel()

    @property
    def text(self) -> str:
        """The visible text of the answer, as far as it came."""
        return self._run.snapshot().text if self._run is not None else ""

    def _sample(self, started_ns: int, outcome: Outcome, failure: Failure | None) -> Sample:
        record = self._run.record if self._run is not None else None
        times = record.timings if record is not None else _NO_TIMES
        usage = record.usage if record is not None else None
        order = self._order
        return Sample(
            endpoint=order.endpoint,
            level=order.level,
            number=order.number,
            worker=order.worker,
            conversation=order.conversation,
            turn=order.turn,
            scheduled_ns=order.scheduled_ns,
            started_ns=times.started_ns or started_ns,
            request_ns=times.request_ns,
            headers_ns=times.headers_ns,
            first_byte_ns=times.first_byte_ns,
            first_chunk_ns=times.first_chunk_ns,
            first_token_ns=times.first_token_ns,
            first_answer_ns=times.first_answer_ns,
            first_delivery_ns=times.first_delivery_ns,
            last_token_ns=times.last_token_ns,
            ended_ns=times.ended_ns or time.perf_counter_ns(),
            reads_ns=self._reads.tobytes(),
            reads_events=self._events.tobytes(),
            reasoning_seen=self._reasoning,
            input_tokens=usage.input_tokens if usage else None,
            cached_input_tokens=usage.cached_input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
            reasoning_tokens=usage.reasoning_tokens if usage else None,
            asked_input_tokens=order.asked_input_tokens,
            asked_output_tokens=order.asked_output_tokens,
            body_bytes=record.bytes if record is not None else 0,
            finish_reason=_first(record),
            outcome=outcome,
            failure=failure,
            stages=tuple(map(_stage_times, record.stages)) if record is not None else (),
        )


def _failure(error: BaseException) -> Failure:
    status, code = getattr(error, "status", None), getattr(error, "code", None)
    kind = type(error).__name__
    if not isinstance(error, (TokenlineError, OSError)):
        kind = f"{type(error).__module__}.{kind}"
    return Failure(
        type=kind,
        message=_one_line(str(error)),
        status=status if isinstance(status, int) else None,
        code=_one_line(code) if isinstance(code, str) else None,
    )


def _one_line(text: str) -> str:
    """Printable, without line ends, not too long."""
    line = " ".join(text.split())[:_MESSAGE_CHARACTERS]
    return "".join(character if character.isprintable() else "?" for character in line)


def _first(record: RunRecord | None) -> str | None:
    reasons = record.finish_reasons if record is not None else ()
    return _one_line(reasons[0]) if reasons and reasons[0] else None


def _stage_times(stage: StageRecord) -> StageTimes:
    return StageTimes(
        name=stage.name,
        kind=stage.kind.value,
        processing_ns=stage.processing_ns,
        queue_wait_ns=stage.queue_wait_ns,
        blocked_ns=stage.blocked_ns,
        idle_ns=stage.idle_ns,
        items=stage.items_in,
    )
