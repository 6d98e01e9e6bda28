"""One run as OpenTelemetry sees it: its request span, then its stages and metrics."""

import logging
from collections.abc import Iterator
from contextvars import Context
from itertools import chain

from opentelemetry import context as otel_context
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context

from tokenline.record import Outcome, RunInfo, RunRecord

from .content_capture import Captured
from .finished_span import FinishedSpans
from .metrics import Instruments, LiveStream
from .report import Report, report_of
from .reporting import Reporting
from .request_span import (
    end_attributes,
    error_type,
    first_token_events,
    span_name,
    start_attributes,
    status_description,
)
from .stage_span import attempt_spans, flat_stage_attributes, stage_span

_logger = logging.getLogger(__name__)

_START_ATTRIBUTES = 6
_PROCESSOR_FAILED = "a span processor failed; a span may be lost"


class OTelRunSpan:
    """The live side of one run.

    Attributes:
        task_context: context for the pipeline's tasks; None if there is no tracing.
    """

    __slots__ = (
        "_context",
        "_ended",
        "_instruments",
        "_reporting",
        "_root",
        "_spans",
        "_stream",
        "task_context",
    )

    def __init__(
        self,
        reporting: Reporting,
        info: RunInfo,
        spans: FinishedSpans | None,
        instruments: Instruments | None,
    ) -> None:
        self._reporting = reporting
        self._spans = spans
        self._instruments = instruments
        self._ended = False
        self._root: Span | None = None
        self._stream: LiveStream | None = None
        self._context: otel_context.Context | None = None
        self.task_context: Context | None = None
        if spans is not None:
            self._root = spans.tracer.start_span(
                span_name(info),
                kind=SpanKind.CLIENT,
                attributes=start_attributes(info),
                start_time=info.wall_ns(info.started_ns),
            )
            self._context = set_span_in_context(self._root)
            try:
                self.task_context = reporting.task_context(self._context)
            except BaseException:
                self._root.end()  # nobody will know of it
                raise
        if instruments is not None:
            self._stream = instruments.stream_started(info.provider, info.model)

    def end(self, record: RunRecord) -> None:
        """The run is over; only the first call counts. Never blocks, never raises."""
        if self._ended:
            return
        self._ended = True
        try:
            self._end(record)
        except Exception:
            # A span processor of the user's must not cost the consumer its stream.
            _logger.warning("telemetry of a run was lost", exc_info=True)
            if self._root is not None and self._root.is_recording():
                self._end_root(record)

    def _end(self, record: RunRecord) -> None:
        if self._instruments is not None and self._stream is not None:
            self._instruments.stream_ended(self._stream)
        recording = self._root is not None and self._root.is_recording()
        stage_spans = recording and self._reporting.wants_stage_spans(record)
        work = self._report(record, stage_spans)
        # An abandoned run may be ended by the garbage collector, in the middle of anything, and
        # span processors take locks: its request span is ended from the queue as well. So is one
        # with content, whose JSON may take a millisecond.
        content = self._reporting.wants_content(recording)
        late = content or record.outcome is Outcome.ABANDONED
        if late:
            work = chain(self._late_root(record, content), work)
        else:
            self._end_root(record)
        if not (late or stage_spans or self._instruments is not None):
            return
        if not self._reporting.emitter.submit(work):
            self._count_drop(stage_spans)
            if late:
                self._end_root(record)

    def _count_drop(self, stage_spans: bool) -> None:
        if self._instruments is not None:
            self._instruments.dropped_metrics += 1
            self._instruments.dropped_traces += stage_spans

    def _late_root(self, record: RunRecord, with_content: bool) -> Iterator[None]:
        captured = None
        try:
            captured = self._capture(record) if with_content else None
        except BaseException:
            # Ctrl-C in the middle of it: the content is lost, the span is not.
            self._end_root(record)
            raise
        yield
        self._end_root(record, captured)
        yield
        if captured is not None and self._reporting.content.as_events:
            self._reporting.events.emit(record, captured, self._context)

    def _capture(self, record: RunRecord) -> Captured | None:
        try:
            return self._reporting.content.capture(record)
        except Exception:
            _logger.warning("the content of a run could not be captured", exc_info=True)
            return None

    def _end_root(self, record: RunRecord, captured: Captured | None = None) -> None:
        root = self._root
        if root is None:
            return
        try:
            if root.is_recording():
                self._describe(root, record)
                if captured is not None and self._reporting.content.on_spans:
                    root.set_attributes(captured.span_attributes())
        except Exception:
            _logger.warning("some attributes of a run were lost", exc_info=True)
        finally:
            ended_ns = max(record.timings.ended_ns, record.info.started_ns)
            try:
                root.end(record.info.wall_ns(ended_ns))
            except Exception:
                _logger.warning(_PROCESSOR_FAILED, exc_info=True)

    def _describe(self, root: Span, record: RunRecord) -> None:
        options = self._reporting.options
        found = end_attributes(record, self._reporting.semconv, options.aliases)
        if options.stages == "attributes":
            taken = len(found) + _START_ATTRIBUTES
            found.update(flat_stage_attributes(record.stages, taken))
        root.set_attributes(found)
        if record.timings.first_token_ns is not None:
            moment = record.info.wall_ns(record.timings.first_token_ns)
            for event in first_token_events(options.aliases):
                root.add_event(event, timestamp=moment)
        if error_type(record) is not None:
            root.set_status(StatusCode.ERROR, status_description(record))

    def _report(self, record: RunRecord, stage_spans: bool) -> Iterator[None]:
        report = report_of(record, self._context)
        stages = self._child_spans(report) if stage_spans else iter(())
        if self._instruments is None:
            return stages
        with_stages = self._reporting.options.stage_metrics
        return chain(stages, self._instruments.record(report, with_stages))

    def _child_spans(self, report: Report) -> Iterator[None]:
        spans, parent = self._spans, report.context
        if spans is None or parent is None:
            return
        aliases = self._reporting.options.aliases
        stages = (stage_span(stage, report, aliases) for stage in report.stages)
        for span in chain(attempt_spans(report, aliases), stages):
            try:
                spans.make(span, parent)
            except Exception:
                _logger.warning(_PROCESSOR_FAILED, exc_info=True)
            yield
