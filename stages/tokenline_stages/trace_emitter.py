"""6. The trace emitter: one record of every run goes to telemetry and to further sinks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import Context, copy_context

from tokenline.record import RunInfo, RunRecord
from tokenline.telemetry.hook import NoRunSpan, RunSpan, Telemetry

logger = logging.getLogger("tokenline")

RecordSink = Callable[[RunRecord], object]
"""Takes one finished record, in a context where the request's span (else the caller's) is
current; called on the event loop, so it must be quick. One with a method `prepare` has it called
when a run starts."""


class _EmitterSpan:
    __slots__ = ("_context", "_sinks", "_span", "task_context")

    def __init__(self, span: RunSpan, sinks: tuple[RecordSink, ...]) -> None:
        self._span = span
        self._sinks = sinks
        self.task_context: Context | None = span.task_context
        self._context = span.task_context or copy_context()

    def end(self, record: RunRecord) -> None:
        try:
            self._span.end(record)
        except Exception:
            logger.exception("telemetry failed at the end of a run; the sinks get its record")
        # A copy: the context may be entered already by whoever ends the run.
        self._context.copy().run(self._hand_over, record)

    def _hand_over(self, record: RunRecord) -> None:
        for sink in self._sinks:
            try:
                sink(record)
            except Exception:
                logger.exception("a record sink failed; the others still get the record")


class TraceEmitter:
    """A `Telemetry` that reports to another one and then hands the record to sinks.

    Args:
        telemetry: makes the spans and metrics. If it fails the sinks still get the record.
        sinks: get every record: functions, or a `TraceStore`; one that raises is logged and does
            not disturb the others.
    """

    def __init__(self, telemetry: Telemetry, *sinks: RecordSink) -> None:
        self._telemetry = telemetry
        self._sinks = sinks
        found = (getattr(sink, "prepare", None) for sink in sinks)
        self._prepare: list[Callable[[], object]] = [prepare for prepare in found if prepare]

    def start(self, info: RunInfo) -> RunSpan:
        """Begin a run."""
        for prepare in self._prepare:
            prepare()
        return _EmitterSpan(self._start_span(info), self._sinks)

    def _start_span(self, info: RunInfo) -> RunSpan:
        try:
            return self._telemetry.start(info)
        except Exception:
            logger.exception("telemetry failed at the start of a run; the sinks get its record")
            return NoRunSpan()
