"""What a stage writes down while it runs, and the record that is made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .channel import Channel
from .options import Capacity
from .record import StageKind, StageRecord


@dataclass(slots=True)
class ActorSpec:
    """Which stage an actor runs and where it stands; nobody changes it."""

    name: str
    kind: StageKind
    index: int
    capacity: Capacity = field(default_factory=Capacity)


@dataclass(slots=True, eq=False)
class Passed:
    """Batches of one item that went through a whole chain, each stage making one item of one.

    How most tokens come: counted once for all stages of the chain instead of in each.
    """

    batches: int = 0
    bytes: int = 0


_NOTHING_PASSED = Passed()


@dataclass(slots=True)
class StageStats:
    """What a stage writes while it runs: plain integers, see `StageRecord` for meanings.

    `passed` is what it shares with the chain that it is in, to be added to its own counts.
    """

    started_ns: int = 0
    ended_ns: int = 0
    items_in: int = 0
    items_out: int = 0
    batches: int = 0
    bytes: int = 0
    processing_ns: int = 0
    max_processing_ns: int = 0
    blocked_ns: int = 0
    first_out_ns: int = 0
    errors: int = 0
    passed: Passed = _NOTHING_PASSED

    def taken(
        self, from_ns: int, to_ns: int, items_in: int, items_out: int, size_bytes: int
    ) -> None:
        """Note one handled batch."""
        if not self.started_ns:
            self.started_ns = from_ns
        took_ns = to_ns - from_ns
        self.ended_ns = to_ns
        self.items_in += items_in
        self.items_out += items_out
        self.batches += 1
        self.bytes += size_bytes
        self.processing_ns += took_ns
        if took_ns > self.max_processing_ns:
            self.max_processing_ns = took_ns
        if items_out and not self.first_out_ns:
            self.first_out_ns = to_ns

    def note_first(self, from_ns: int, to_ns: int) -> None:
        """Note when the first input came, unless it was before, and the first output went."""
        if not self.started_ns:
            self.started_ns = from_ns
        self.first_out_ns = to_ns

    def record(
        self, spec: ActorSpec, now_ns: int, inbox: Channel[Any] | None = None
    ) -> StageRecord:
        """What the stage did up to `now_ns`.

        A stage that nothing reached neither worked nor waited: it has no times of its own.

        Args:
            spec: which stage it is.
            now_ns: when the request ended.
            inbox: its queue, if there was need of one.
        """
        ended_ns = self.ended_ns or now_ns
        started_ns = self.started_ns or ended_ns
        busy_ns = self.processing_ns + self.blocked_ns
        passed = self.passed
        queue = inbox.stats() if inbox is not None else None
        return StageRecord(
            name=spec.name,
            kind=spec.kind,
            index=spec.index,
            started_ns=started_ns,
            ended_ns=ended_ns,
            items_in=self.items_in + passed.batches,
            items_out=self.items_out + passed.batches,
            batches=self.batches + passed.batches,
            bytes=self.bytes + passed.bytes,
            processing_ns=self.processing_ns,
            queue_wait_ns=queue.queue_wait_ns if queue else 0,
            blocked_ns=self.blocked_ns,
            idle_ns=max(0, ended_ns - started_ns - busy_ns),
            first_item_ns=self.first_out_ns - started_ns if self.first_out_ns else None,
            max_processing_ns=self.max_processing_ns,
            capacity_items=spec.capacity.max_items,
            capacity_bytes=spec.capacity.max_bytes,
            high_water_items=queue.high_water_items if queue else 0,
            high_water_bytes=queue.high_water_bytes if queue else 0,
            dropped_items=queue.dropped_items if queue else 0,
            errors=self.errors,
            queued_batches=queue.sent_batches if queue else 0,
        )

    def source_record(
        self, name: str, now_ns: int, first_byte_ns: int | None, wait_ns: int
    ) -> StageRecord:
        """What the source did up to `now_ns`: its items are reads, its idle time the provider's.

        It may wait for the end of the body after the response is complete: that is no part of
        the request.

        Args:
            name: its name.
            now_ns: when the request ended.
            first_byte_ns: when the first bytes came.
            wait_ns: Σ time it waited for the provider.
        """
        started_ns = self.started_ns or now_ns
        ended_ns = max(started_ns, min(self.ended_ns or now_ns, now_ns))
        busy_ns = self.processing_ns + self.blocked_ns
        return StageRecord(
            name=name,
            kind=StageKind.SOURCE,
            index=0,
            started_ns=started_ns,
            ended_ns=ended_ns,
            items_in=self.batches,
            items_out=self.batches,
            batches=self.batches,
            bytes=self.bytes,
            processing_ns=self.processing_ns,
            blocked_ns=self.blocked_ns,
            idle_ns=max(0, min(wait_ns, ended_ns - started_ns - busy_ns)),
            first_item_ns=first_byte_ns - started_ns if first_byte_ns else None,
            max_processing_ns=self.max_processing_ns,
            errors=self.errors,
        )
