"""Child spans of a finished run, by the shortest road that gives the same.

A live span of the SDK is made to be changed: its attributes are copied under a lock, its limits
counted, its processors asked at its start. All of a stage's span is known when it is made, so a
`ReadableSpan`, which is all that exporters are given, is built at once and handed to the
processors. That road is taken only where it gives what the tracer would have given: with the
SDK's own tracer, a sampler whose answer is known beforehand, processors that do nothing at the
start of a span, and no limit that would cut anything. Everything else goes through the tracer.
"""

from collections.abc import Callable
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, Status, StatusCode, Tracer, get_current_span

from .stage_span import FinishedSpan

_ERROR = Status(StatusCode.ERROR)
_UNSET = Status(StatusCode.UNSET)


class FinishedSpans:
    """Makes finished spans with one tracer.

    Attributes:
        tracer: the tracer.
    """

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self._direct = _DirectRoad.of(tracer)

    def make(self, span: FinishedSpan, parent: Context) -> None:
        """Make a span below the one that is current in `parent`, and hand it to the processors."""
        made = self._make_directly(span, parent)
        if made is None:
            self._make_live(span, parent)
        else:
            made()

    def _make_directly(self, span: FinishedSpan, parent: Context) -> Callable[[], None] | None:
        direct = self._direct
        if direct is None:
            return None
        try:
            return direct.make(span, parent)
        except (AttributeError, TypeError):
            self._direct = None  # The SDK is built otherwise than it seemed.
            return None

    def _make_live(self, span: FinishedSpan, parent: Context) -> None:
        live = self.tracer.start_span(
            span.name, context=parent, attributes=span.attributes, start_time=span.start_ns
        )
        if span.failed:
            live.set_status(StatusCode.ERROR)
        live.end(span.end_ns)


class _DirectRoad:
    """A tracer of the SDK seen from within; what it may turn into meanwhile is looked at each time.

    Names that begin with an underscore are the SDK's own affair: where one of them is missing or
    is not what it was, the road is closed.
    """

    def __init__(self, tracer: Any) -> None:
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.sdk.trace.sampling import Decision

        self._tracer = tracer
        self._readable: Callable[..., Any] = ReadableSpan
        self._is_enabled: Callable[[], bool] = getattr(tracer, "_is_enabled", lambda: True)
        self._count: Callable[..., Callable[[], None]] = tracer._tracer_metrics.start_span
        self._sampled: object = Decision.RECORD_AND_SAMPLE
        self._scope = tracer._instrumentation_scope
        self._most_attributes: float = _limit(tracer._span_limits.max_span_attributes)
        self._sampler: object = None
        self._processors: object = None
        self._open = False

    @classmethod
    def of(cls, tracer: Tracer) -> "_DirectRoad | None":
        """The road of `tracer`; None if it never has one."""
        if not type(tracer).__module__.startswith("opentelemetry.sdk."):
            return None
        try:
            return cls(tracer) if _is_plain(tracer) else None
        except AttributeError:
            return None

    def make(self, span: FinishedSpan, parent: Context) -> Callable[[], None] | None:
        """Make `span` and give what hands it to the processors; None if the tracer has to.

        Raises:
            AttributeError: the SDK is built otherwise.
            TypeError: the same.
        """
        tracer, above = self._tracer, get_current_span(parent).get_span_context()
        if not (
            self._is_open()
            and above.is_valid
            and not above.is_remote
            and above.trace_flags.sampled
            and len(span.attributes) <= self._most_attributes
        ):
            return None
        context = SpanContext(
            above.trace_id,
            tracer.id_generator.generate_span_id(),
            is_remote=False,
            trace_flags=above.trace_flags,
            trace_state=above.trace_state,
        )
        made = self._readable(
            name=span.name,
            context=context,
            parent=above,
            resource=tracer.resource,
            attributes=span.attributes,
            instrumentation_info=tracer.instrumentation_info,
            instrumentation_scope=self._scope,
            status=_ERROR if span.failed else _UNSET,
            start_time=span.start_ns,
            end_time=span.end_ns,
        )
        count_end = self._count(above, self._sampled)

        def hand_over() -> None:
            count_end()
            tracer.span_processor.on_end(made)

        return hand_over

    def _is_open(self) -> bool:
        tracer = self._tracer
        processors = tracer.span_processor._span_processors
        if processors is not self._processors or tracer.sampler is not self._sampler:
            self._processors, self._sampler = processors, tracer.sampler
            self._open = _takes_children(tracer.sampler) and all(map(_starts_idle, processors))
        return self._open and self._is_enabled()


def _limit(most: int | None) -> float:
    return float("inf") if most is None else most


def _is_plain(tracer: Any) -> bool:
    """Whether everything about `tracer` that cannot change is as the SDK makes it by default.

    Raises:
        AttributeError: it is built otherwise than the SDK's of today.
    """
    from opentelemetry.sdk.trace import SynchronousMultiSpanProcessor
    from opentelemetry.sdk.trace import Tracer as SdkTracer

    return (
        type(tracer) is SdkTracer
        and "start_span" not in vars(tracer)
        and type(tracer.span_processor) is SynchronousMultiSpanProcessor
        and tracer._span_limits.max_span_attribute_length is None
        and isinstance(tracer.span_processor._span_processors, tuple)
    )


def _takes_children(sampler: object) -> bool:
    """Whether `sampler` takes every child of a span that it took, as it is."""
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased

    if type(sampler) is ParentBased:
        return getattr(sampler, "_local_parent_sampled", None) is ALWAYS_ON
    return sampler is ALWAYS_ON


def _starts_idle(processor: object) -> bool:
    """Whether `processor` does nothing at the start of a span, nor just before its end."""
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

    idle = (SpanProcessor, SimpleSpanProcessor, BatchSpanProcessor)
    return all(
        getattr(getattr(processor, name, None), "__func__", None)
        in [vars(known)[name] for known in idle if name in vars(known)]
        for name in ("on_start", "_on_ending")
    )
