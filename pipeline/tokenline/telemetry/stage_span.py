"""From a stage record to the attributes of its span; plain data, no OpenTelemetry objects."""

from collections.abc import Collection, Sequence

from tokenline.record import AttemptRecord, StageRecord

from . import attributes as names
from .options import Alias
from .valid import Attributes, valid_attributes, valid_text

_MAX_ATTRIBUTES = 128
"""The SDK's default limit; past it the oldest attributes of a span are lost."""
_FIGURES_A_STAGE = 6
_NS = 1e9


def stage_attributes(stage: StageRecord, aliases: Collection[Alias]) -> Attributes:
    """Attributes of a stage's span. No `gen_ai.*`: back-ends would count it as another request.

    Each attribute costs 2 us to set and to encode, so counters of 0 are left out, and the queue's
    bounds where nothing went through the queue.
    """
    found: Attributes = {
        names.STAGE_NAME: stage.name,
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
    for name, count in (
        (names.STAGE_BYTES, stage.bytes),
        (names.STAGE_DROPPED, stage.dropped_items),
        (names.STAGE_ERRORS, stage.errors),
    ):
        if count:
            found[name] = count
    if stage.capacity_items:
        found[names.STAGE_QUEUE_HIGH_WATER] = stage.high_water_items
    if stage.queued_batches:
        found[names.STAGE_BATCHES_QUEUED] = stage.queued_batches
        found[names.STAGE_QUEUE_CAPACITY] = stage.capacity_items
        found[names.STAGE_QUEUE_CAPACITY_BYTES] = stage.capacity_bytes
        found[names.STAGE_QUEUE_HIGH_WATER_BYTES] = stage.high_water_bytes
    if "phoenix" in aliases:
        found[names.OPENINFERENCE_SPAN_KIND] = names.OPENINFERENCE_KIND_CHAIN
    return valid_attributes(found)


def attempt_attributes(attempt: AttemptRecord, aliases: Collection[Alias]) -> Attributes:
    """Attributes of the span of one attempt; made where a run has more than one."""
    found: Attributes = {
        names.ATTEMPT_ROUTE: attempt.route,
        names.ATTEMPT_PROVIDER: attempt.provider,
        names.ATTEMPT_OUTCOME: attempt.outcome.value,
        names.ATTEMPT_COMMITTED: attempt.committed,
    }
    if "phoenix" in aliases:
        found[names.OPENINFERENCE_SPAN_KIND] = names.OPENINFERENCE_KIND_CHAIN
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
