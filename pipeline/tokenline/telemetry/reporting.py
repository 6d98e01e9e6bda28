"""What all runs of one telemetry share: the options, the emitter and the choice of detail."""

import contextvars
from itertools import count

from opentelemetry import context as otel_context
from opentelemetry._logs import LoggerProvider

from tokenline.record import Outcome, RunRecord

from .attributes import SEMCONV
from .content import content_mode
from .content_capture import ContentCapture
from .emitter import Emitter
from .events import Events
from .options import TelemetryOptions
from .suppression import suppression_values


class Reporting:
    """Shared by the runs of one `OTelTelemetry`.

    Attributes:
        options: what is emitted.
        semconv: the names of the chosen conventions.
        content: what is captured of prompts and answers.
        events: where log records go.
        emitter: makes stage spans and metrics off the streams' path.
    """

    def __init__(
        self, options: TelemetryOptions, logger_provider: LoggerProvider | None = None
    ) -> None:
        self.options = options
        self.semconv = SEMCONV[options.semconv]
        mode = content_mode(options.content)
        self.content = ContentCapture(mode, options.max_content_bytes, options.redact)
        self.events = Events(logger_provider, self.semconv)
        self.emitter = Emitter(options.queue_capacity)
        self._runs = count()

    def task_context(self, request_context: otel_context.Context) -> contextvars.Context:
        """A copy of the caller's context in which the request span is current, for good."""
        values = suppression_values(self.options.suppress)
        context = contextvars.copy_context()
        context.run(otel_context.attach, otel_context.Context({**request_context, **values}))
        return context

    def wants_content(self, recording: bool) -> bool:
        """Whether the content of a run, whose span is recorded or not, goes anywhere."""
        if recording and self.content.on_spans:
            return True
        return self.content.as_events and self.events.provider is not None

    def wants_stage_spans(self, record: RunRecord) -> bool:
        """Whether the run gets a span for each stage, by `TelemetryOptions.stages`."""
        match self.options.stages:
            case "always":
                return True
            case "sample":
                return next(self._runs) % self.options.sample_every == 0
            case "slow_or_error":
                return record.outcome is not Outcome.OK or self._is_slow(record)
            case _:
                return False

    def _is_slow(self, record: RunRecord) -> bool:
        timings, options = record.timings, self.options
        first_token_s = timings.since_request_s(timings.first_token_ns) or 0.0
        duration_s = (timings.ended_ns - timings.started_ns) / 1e9
        return first_token_s >= options.slow_first_token_s or duration_s >= options.slow_duration_s
