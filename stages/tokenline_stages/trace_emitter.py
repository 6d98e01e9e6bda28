"""6. The trace emitter: one record of every run goes to telemetry and to further sinks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import Context

from tokenline.record import RunInfo, RunRecord
from tokenline.telemetry.hook import RunSpan, Telemetry

logger = logging.getLogger("tokenline")

RecordSink = Callable[[RunRecord], None]
"""Takes one finished record; called on the event loop, so it must be quick."""


class _EmitterSpan:
    __slots__ = ("_sinks", "_span", "task_context")

    def __init__(self, span: RunSpan, sinks: tuple[RecordSink, ...]) -> None:
        self._span = span
        self._sinks = sinks
        self.task_context: Context | None = span.task_context

    def end(self, record: RunRecord) -> None:
        self._span.end(record)
        for sink in self._sinks:
            try:
                sink(record)
            except Exception:
                logger.exception("a record sink failed; the others still get the record")


class TraceEmitter:
    """A `Telemetry` that reports to another one and then hands the record to sinks.

    Args:
        telemetry: makes the spans and metrics.
        sinks: get every record; one that raises is logged and does not disturb the others.
    """

    def __init__(self, telemetry: Telemetry, *sinks: RecordSink) -> None:
        self._telemetry = telemetry
        self._sinks = sinks

    def start(self, info: RunInfo) -> RunSpan:
        """Begin a run."""
        return _EmitterSpan(self._telemetry.start(info), self._sinks)
