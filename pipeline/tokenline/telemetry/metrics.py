"""The instruments of a meter provider, and what one finished run records on them.

A measurement costs 4 us and more, nearly all the SDK's, so each run records sums and summaries
once, at its end, off the stream's path. The context of the request span goes with every
measurement: that is what links exemplars to traces.
"""

import threading
from collections.abc import Iterable, Iterator
from itertools import count
from typing import TypeAlias
from weakref import WeakValueDictionary

from opentelemetry.context import Context
from opentelemetry.metrics import (
    CallbackOptions,
    Counter,
    Meter,
    MeterProvider,
    Observation,
)

from tokenline.record import StageRecord

from . import attributes as names
from .attributes import Metric, Semconv
from .drops import drops
from .recorder import Recorder, SharedAttributes
from .report import Report
from .valid import valid_text
from .version import version

_NS = 1e9
_NO_ATTRIBUTES: SharedAttributes = {}
_StreamKey: TypeAlias = tuple[str, str | None]
LiveStream: TypeAlias = tuple[_StreamKey, int]
"""One stream under way, as `Instruments.stream_started` names it."""


class Instruments:
    """All instruments of one meter, and the plain numbers that its callbacks read.

    Live streams are sets of numbers, not counts: adding to a set is atomic, so no lock is taken in
    the stream's path or under the garbage collector, and the number never drifts.
    """

    def __init__(self, provider: MeterProvider, semconv: Semconv) -> None:
        meter = provider.get_meter(names.SCOPE, version(), semconv.schema_url)
        self.provider = provider
        self.dropped_traces = 0
        self.dropped_metrics = 0
        self._numbers = count()
        self._live: dict[_StreamKey, set[int]] = {}
        self._depths: dict[str, int] = {}
        self._stages: dict[str, SharedAttributes] = {}
        self._genai = _GenAi(meter, semconv)
        self._times = {
            metric.name: _histogram(meter, metric)
            for metric in (
                names.M_TIME_TO_HEADERS,
                names.M_TIME_TO_FIRST_TOKEN,
                names.M_TIME_TO_FIRST_ANSWER,
                names.M_TIME_TO_FIRST_DELIVERY,
            )
        }
        self._gap_p50 = _histogram(meter, names.M_CHUNK_GAP_P50)
        self._gap_max = _histogram(meter, names.M_CHUNK_GAP_MAX)
        self._loop_blocked = _histogram(meter, names.M_LOOP_BLOCKED)
        self._processing = _histogram(meter, names.M_STAGE_PROCESSING)
        self._queue_wait = _histogram(meter, names.M_STAGE_QUEUE_WAIT)
        self._blocked = _histogram(meter, names.M_STAGE_BLOCKED)
        self._items = _Total(meter, names.M_STAGE_ITEMS, names.STAGE_NAME)
        self._dropped = _Total(meter, names.M_STAGE_DROPPED, names.STAGE_NAME)
        self._errors = _Total(meter, names.M_STAGE_ERRORS, names.STAGE_NAME)
        self._completed = _Total(
            meter,
            names.M_STREAMS_COMPLETED,
            names.PROVIDER_NAME,
            names.REQUEST_MODEL,
            names.OUTCOME,
        )
        self._observe(meter)

    def _observe(self, meter: Meter) -> None:
        active, depth, dropped = (
            names.M_STREAMS_ACTIVE,
            names.M_QUEUE_DEPTH,
            names.M_TELEMETRY_DROPPED,
        )
        meter.create_observable_up_down_counter(
            active.name, [self._observe_active], active.unit, active.description
        )
        meter.create_observable_gauge(
            depth.name, [self._observe_depth], depth.unit, depth.description
        )
        meter.create_observable_counter(
            dropped.name, [self._observe_dropped], dropped.unit, dropped.description
        )

    def stream_started(self, provider: str, model: str | None) -> LiveStream:
        """A stream runs from now on; the result is for `stream_ended`."""
        key = (valid_text(provider), None if model is None else valid_text(model))
        number = next(self._numbers)
        self._live.setdefault(key, set()).add(number)
        return key, number

    def stream_ended(self, stream: LiveStream) -> None:
        """That stream is over."""
        key, number = stream
        self._live[key].discard(number)

    def _observe_active(self, _: CallbackOptions) -> Iterable[Observation]:
        for (provider, model), live in list(self._live.items()):
            attributes = {names.PROVIDER_NAME: provider}
            if model is not None:
                attributes[names.REQUEST_MODEL] = model
            yield Observation(len(live), attributes)

    def _observe_depth(self, _: CallbackOptions) -> Iterable[Observation]:
        depths = self._depths
        self._depths = dict.fromkeys(depths, 0)
        return [Observation(depth, {names.STAGE_NAME: name}) for name, depth in depths.items()]

    def _observe_dropped(self, _: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(self.dropped_traces, {names.SIGNAL: names.SIGNAL_TRACES}),
            Observation(self.dropped_metrics, {names.SIGNAL: names.SIGNAL_METRICS}),
            *(Observation(count, {names.SIGNAL: signal}) for signal, count in drops().items()),
        ]

    def record(self, report: Report, stage_metrics: bool) -> Iterator[None]:
        """Record a run, in steps of some 50 us at most."""
        self._genai.record(report)
        yield
        self._record_own(report)
        yield
        if stage_metrics:
            for stage in report.stages:
                self._record_stage(stage, report.context)
                yield

    def _record_own(self, report: Report) -> None:
        attributes, context = report.own_attributes, report.context
        provider, model = attributes[names.PROVIDER_NAME], attributes.get(names.REQUEST_MODEL)
        self._completed.add((provider, model, report.outcome.value))
        for name, stamp in report.times:
            histogram = self._times.get(name)
            seconds = report.timings.since_request_s(stamp)
            if histogram is not None and seconds is not None:
                histogram.record(seconds, attributes, context)
        if report.gaps.count:
            self._gap_p50.record(report.gaps.p50_ns / _NS, attributes, context)
            self._gap_max.record(report.gaps.max_ns / _NS, attributes, context)
        if report.loop_lag is not None:
            self._loop_blocked.record(report.loop_lag.blocked_ns / _NS, _NO_ATTRIBUTES, context)

    def _record_stage(self, stage: StageRecord, context: Context | None) -> None:
        key = (valid_text(stage.name),)
        self._items.add(key, stage.items_in or stage.items_out)
        self._dropped.add(key, stage.dropped_items)
        self._errors.add(key, stage.errors)
        if stage.capacity_items:
            deepest = max(self._depths.get(key[0], 0), stage.high_water_items)
            self._depths[key[0]] = deepest
        attributes = self._stages.setdefault(key[0], {names.STAGE_NAME: key[0]})
        self._processing.record(stage.processing_ns / _NS, attributes, context)
        if stage.queued_batches:
            mean_ns = stage.queue_wait_ns / stage.queued_batches
            self._queue_wait.record(mean_ns / _NS, attributes, context)
        if stage.blocked_ns:
            self._blocked.record(stage.blocked_ns / _NS, attributes, context)


class _Total:
    """A counter that costs an addition.

    Several emitters, each in the thread of its loop, may add to one. The lock can be taken again
    by its thread, for a signal handler may flush in the middle of an addition.
    """

    def __init__(self, meter: Meter, metric: Metric, *attributes: str) -> None:
        self._attributes = attributes
        self._totals: dict[tuple[str | None, ...], int] = {}
        self._adding = threading.RLock()
        meter.create_observable_counter(
            metric.name, [self._observe], metric.unit, metric.description
        )

    def add(self, values: tuple[str | None, ...], amount: int = 1) -> None:
        """Add for these values of the attributes; None for one that is not set."""
        with self._adding:
            self._totals[values] = self._totals.get(values, 0) + amount

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(total, self._named(key)) for key, total in list(self._totals.items())]

    def _named(self, values: tuple[str | None, ...]) -> dict[str, str]:
        pairs = zip(self._attributes, values, strict=True)
        return {name: value for name, value in pairs if value is not None}


class _GenAi:
    """The convention's own metrics."""

    def __init__(self, meter: Meter, semconv: Semconv) -> None:
        self._duration = _histogram(meter, semconv.duration)
        self._first_chunk = _histogram(meter, semconv.first_chunk)
        self._by_type = _histogram(meter, semconv.token_usage) if semconv.token_usage else None
        self._input = _histogram(meter, semconv.input_tokens) if semconv.input_tokens else None
        self._output = _histogram(meter, semconv.output_tokens) if semconv.output_tokens else None
        self._usage = {
            field: _counter(meter, metric) for field, metric in semconv.usage_counters.items()
        }

    def record(self, report: Report) -> None:
        attributes, context = report.attributes.plain, report.context
        if report.error_type is None:
            self._duration.record(report.duration_s, attributes, context)
        else:
            ended = {**attributes, names.ERROR_TYPE: report.error_type}
            if report.limit is not None:
                ended[names.ERROR_LIMIT] = report.limit
            self._duration.record_once(report.duration_s, ended, context)
        first_chunk = report.timings.since_request_s(report.timings.first_chunk_ns)
        if first_chunk is not None:
            self._first_chunk.record(first_chunk, attributes, context)
        if report.input_tokens is not None:
            self._record_input(report.input_tokens, report)
        if report.output_tokens is not None:
            self._record_output(report.output_tokens, report)
        if self._usage:
            self._count_usage(report)

    def _record_input(self, tokens: int, report: Report) -> None:
        if self._by_type is not None:
            self._by_type.record(tokens, report.attributes.of_input, report.context)
        if self._input is not None:
            self._input.record(tokens, report.attributes.plain, report.context)

    def _record_output(self, tokens: int, report: Report) -> None:
        if self._by_type is not None:
            self._by_type.record(tokens, report.attributes.of_output, report.context)
        if self._output is not None:
            self._output.record(tokens, report.attributes.plain, report.context)

    def _count_usage(self, report: Report) -> None:
        """Counters of `genai-dev`: failed and silent requests count 0 in and out, as it asks."""
        attributes = {**report.attributes.plain, names.TOKEN_MODALITY: names.MODALITY_UNKNOWN}
        for field, counter in self._usage.items():
            tokens = getattr(report.usage, field, None)
            if tokens is None and field in ("input_tokens", "output_tokens"):
                tokens = 0
            if tokens is not None:
                counter.add(tokens, attributes, report.context)


def _histogram(meter: Meter, metric: Metric) -> Recorder:
    return Recorder(
        meter.create_histogram(
            metric.name,
            metric.unit,
            metric.description,
            explicit_bucket_boundaries_advisory=metric.buckets,
        )
    )


def _counter(meter: Meter, metric: Metric) -> Counter:
    return meter.create_counter(metric.name, metric.unit, metric.description)


_shared: WeakValueDictionary[tuple[int, str], Instruments] = WeakValueDictionary()
_sharing = threading.Lock()


def instruments_of(provider: MeterProvider, semconv: Semconv) -> Instruments:
    """The instruments of `provider`, made once: a second callback for one name would be lost."""
    key = (id(provider), semconv.schema_url)
    with _sharing:
        found = _shared.get(key)
        if found is None:
            found = Instruments(provider, semconv)
            _shared[key] = found
        return found
