"""From the records of stages and attempts to their spans; plain data, no OpenTelemetry objects."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from tokenline.record import AttemptRecord, StageRecord

from . import attributes as names
from .options import Alias
from .report import Report
from .valid import Attributes, valid_attributes, valid_text

_MAX_ATTRIBUTES = 128
"""The SDK's default limit; past it the oldest attributes of a span are lost."""
_FIGURES_A_STAGE = 6
_NS = 1e9


@dataclass(slots=True)
class FinishedSpan:
    """A span that is over when it is made.

    Attributes:
        name: its name.
        attributes: such as exporters can write, see `valid_attributes`; the span keeps them.
        start_ns: wall-clock time of its start, ns since the epoch.
        end_ns: that of its end.
        failed: its status is error.
    """

    name: str
    attributes: Attributes
    start_ns: int
    end_ns: int
    failed: bool


def stage_span(stage: StageRecord, report: Report, aliases: Collection[Alias]) -> FinishedSpan:
    """The span of one stage."""
    name = valid_text(stage.name)
    found = _stage_attributes(stage, name)
    if "phoenix" in aliases:
        found[names.OPENINFERENCE_SPAN_KIND] = names.OPENINFERENCE_KIND_CHAIN
    failed = stage.errors > 0 or stage.name == report.failed_stage
    if failed:
        found[names.ERROR_TYPE] = report.error_type or names.ERROR_TYPE_OTHER
    start_ns = report.wall_offset_ns + stage.started_ns
    end_ns = report.wall_offset_ns + max(stage.ended_ns, stage.started_ns)
    return FinishedSpan(names.STAGE_SPAN_PREFIX + name, found, start_ns, end_ns, failed)


def _stage_attributes(stage: StageRecord, name: str) -> Attributes:
    """No `gen_ai.*`: back-ends would count it as another request.

    Each attribute costs 2 us to set and to encode, so counters of 0 are left out, and the queue's
    bounds where nothing went through the queue.
    """
    found: Attributes = {
        names.STAGE_NAME: name,
        names.STAGE_KIND: stage.kind.value,
        names.STAGE_INDEX: stage.index,
        names.STAGE_ITEMS_IN: stage.items_in,
        names.STAGE_ITEMS_OUT: stage.items_out,
        names.STAGE_BATCHES: stage.batches,
        names.STAGE_TIME_PROCESSING: stage.processing_ns / _NS,
        names.STAGE_TIME_QUEUE_WAIT: stage.queue_wait_ns / _NS,
        names.STAGE_TIME_BLOCKED: stage.blocked_ns / _NS,
        names.STAGE_TIME_IDLE: stage.idle_ns / _NS,
        names.STAGE_LATENCY_MAX: stage.max_processing_ns / _NS,
    }
    if stage.first_item_ns is not None:
        found[names.STAGE_LATENCY_FIRST_ITEM] = stage.first_item_ns / _NS
    if stage.bytes:
        found[names.STAGE_BYTES] = stage.bytes
    if stage.dropped_items:
        found[names.STAGE_DROPPED] = stage.dropped_items
    if stage.errors:
        found[names.STAGE_ERRORS] = stage.errors
    if stage.capacity_items:
        found[names.STAGE_QUEUE_HIGH_WATER] = stage.high_water_items
    if stage.queued_batches:
        found[names.STAGE_BATCHES_QUEUED] = stage.queued_batches
        found[names.STAGE_QUEUE_CAPACITY] = stage.capacity_items
        found[names.STAGE_QUEUE_CAPACITY_BYTES] = stage.capacity_bytes
        found[names.STAGE_QUEUE_HIGH_WATER_BYTES] = stage.high_water_bytes
    return found


def attempt_spans(report: Report, aliases: Collection[Alias]) -> Iterator[FinishedSpan]:
    """The spans of the attempts that issued a request, where a run has more than one."""
    for number, attempt in enumerate(report.attempts, 1):
        if attempt.request_ns is not None:
            yield FinishedSpan(
                f"{names.ATTEMPT_SPAN_PREFIX}{number}",
                _attempt_attributes(attempt, aliases),
                report.wall_offset_ns + attempt.request_ns,
                report.wall_offset_ns + max(attempt.ended_ns, attempt.request_ns),
                attempt.error is not None,
            )


def _attempt_attributes(attempt: AttemptRecord, aliases: Collection[Alias]) -> Attributes:
    found: Attributes = {
        names.ATTEMPT_ROUTE: attempt.route,
        names.ATTEMPT_PROVIDER: attempt.provider,
        names.ATTEMPT_OUTCOME: attempt.outcome.value,
        names.ATTEMPT_COMMITTED: attempt.committed,
    }
    if "phoenix" in aliases:
        found[names.OPENINFERENCE_SPAN_KIND] = names.OPENINFERENCE_KIND_CHAIN
    if attempt.error is not None:
        found[names.ERROR_TYPE] = attempt.error
    return valid_attributes(found)


def flat_stage_attributes(stages: Sequence[StageRecord], taken: int) -> Attributes:
    """The main figures of all stages for the request span, named `tokenline.stage.<name>.*`.

    Stages that would push the span past `128 - taken` attributes are left out.
    """
    found: Attributes = {}
    room = (_MAX_ATTRIBUTES - taken) // _FIGURES_A_STAGE
    for stage in stages[: max(room, 0)]:
        prefix = valid_text(f"tokenline.stage.{stage.name}.")
        found[prefix + "processing"] = stage.processing_ns / _NS
        found[prefix + "queue_wait"] = stage.queue_wait_ns / _NS
        found[prefix + "blocked"] = stage.blocked_ns / _NS
        found[prefix + "idle"] = stage.idle_ns / _NS
        found[prefix + "items"] = stage.items_in or stage.items_out
        found[prefix + "high_water_mark"] = stage.high_water_items
    return found
