"""Runs as OpenTelemetry spans and metrics.

One live CLIENT span a run, child of the caller's span, started and ended in the run's own time.
Stage spans and metrics are made afterwards, by the emitter, from the integers of the run record.

Nothing is attached to the caller's context, so nothing has to be detached: the pipeline's tasks
get a copy of it in which the request span is current.
"""

import logging

from opentelemetry import metrics, trace
from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from tokenline.record import RunInfo

from . import attributes as names
from .deadline import Countdown
from .finished_span import FinishedSpans
from .hook import NoRunSpan, RunSpan
from .metrics import Instruments, instruments_of
from .options import TelemetryOptions
from .outlet import Outlet, flush_all, is_real
from .reporting import Reporting
from .run_span import OTelRunSpan
from .version import version

_logger = logging.getLogger(__name__)
_NO_SPAN = NoRunSpan()


class OTelTelemetry:
    """Reports runs to a tracer provider and a meter provider.

    Without providers of its own it uses the global ones, set before or after it was made, and
    costs next to nothing while there are none. The providers stay the user's: they are never
    shut down here.

    Args:
        tracer_provider: where spans go; None for the global one.
        meter_provider: where metrics go; None for the global one.
        options: what is emitted.
        logger_provider: where log records with content go, if they are asked for; None for the
            global one.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        options: TelemetryOptions | None = None,
        logger_provider: LoggerProvider | None = None,
    ) -> None:
        self._reporting = Reporting(options or TelemetryOptions(), logger_provider)
        self._tracer_provider = tracer_provider
        self._meter_provider = meter_provider
        self._spans_from: TracerProvider | None = None
        self._spans: FinishedSpans | None = None
        self._instruments_from: MeterProvider | None = None
        self._instruments: Instruments | None = None
        self._outlets: list[Outlet] = []

    @property
    def options(self) -> TelemetryOptions:
        """What is emitted."""
        return self._reporting.options

    @property
    def dropped(self) -> int:
        """Runs whose stage spans and metrics were dropped because the queue was full."""
        return self._reporting.emitter.dropped

    def start(self, info: RunInfo) -> RunSpan:
        """Begin a run: its span is a child of the span that is current here. Never raises."""
        try:
            spans, instruments = self._find_spans(), self._find_instruments()
            if spans is None and instruments is None:
                return _NO_SPAN
            return OTelRunSpan(self._reporting, info, spans, instruments)
        except Exception:
            # A sampler or span processor of the user's: the run goes on without telemetry.
            _logger.warning("telemetry of a run could not be started", exc_info=True)
            return _NO_SPAN

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Make what is queued and push it out through the providers.

        Blocks for at most `timeout_s`, also on a collector that never answers. In async code
        call it as `await asyncio.to_thread(telemetry.flush)`.

        Returns:
            False if the time was up first. True does not say that the collector has the data:
            the SDK does not tell.
        """
        countdown = Countdown(timeout_s)
        made = self._reporting.emitter.flush(countdown.left_s)
        return flush_all(self._current_outlets(), countdown.left_s) and made

    def shutdown(self, timeout_s: float = 5.0) -> bool:
        """Like `flush`, once at the end; the providers stay open."""
        countdown = Countdown(timeout_s)
        made = self._reporting.emitter.close(countdown.left_s)
        return flush_all(self._current_outlets(), countdown.left_s) and made

    def _find_spans(self) -> FinishedSpans | None:
        provider = self._tracer_provider
        if provider is None:
            provider = trace.get_tracer_provider()
        if provider is not self._spans_from:
            schema_url = self._reporting.semconv.schema_url
            tracer = provider.get_tracer(names.SCOPE, version(), schema_url)
            self._spans = FinishedSpans(tracer) if is_real(tracer) else None
            self._spans_from = provider
        return self._spans

    def _find_instruments(self) -> Instruments | None:
        if not self._reporting.options.metrics:
            return None
        provider = self._meter_provider
        if provider is None:
            provider = metrics.get_meter_provider()
        if provider is not self._instruments_from:
            real = is_real(provider.get_meter(names.SCOPE))
            semconv = self._reporting.semconv
            self._instruments = instruments_of(provider, semconv) if real else None
            self._instruments_from = provider
        return self._instruments

    def _current_outlets(self) -> list[Outlet]:
        logs = self._reporting.events.provider if self._reporting.content.as_events else None
        for provider in (self._spans_from, self._instruments_from, logs):
            known = any(outlet.provider is provider for outlet in self._outlets)
            if provider is not None and is_real(provider) and not known:
                self._outlets.append(Outlet(provider))
        return self._outlets
