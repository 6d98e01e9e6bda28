"""A response ready to be sent: its bytes, its planned times and what each write completes."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from .alteration import (
    Body,
    Ending,
    Spoiler,
    alter_bytes,
    alter_events,
    compress,
    recut,
)
from .answer import compose
from .apis.api import Job, WireApi
from .faults import Gzip
from .frames import Frame, Timed, Write, encode_chunks
from .plan import Plan
from .schedule import group_writes, insert_pings, time_frames


@dataclass(frozen=True, slots=True)
class Transmission:
    """What is sent and when. The tuples are parallel, one entry a write.

    Attributes:
        payloads: bytes for the socket, chunked coding included.
        due_ns: planned times after the request's arrival.
        body_bytes: body bytes of each.
        events: events complete after each, from the start.
        frames: the events, in the order they are sent.
        ending: what happens after the last write.
        ending_due_ns: when.
        hold_s: how long silence lasts.
    """

    payloads: tuple[bytes, ...]
    due_ns: tuple[int, ...]
    body_bytes: tuple[int, ...]
    events: tuple[int, ...]
    frames: tuple[Frame, ...]
    ending: Ending
    ending_due_ns: int
    hold_s: float


@lru_cache(maxsize=32)
def render(api: WireApi, job: Job) -> tuple[Frame, ...]:
    """The events of an answer; rendered once for all requests that look alike."""
    return tuple(api.render(compose(job.plan, job.max_tokens), job))


def plan_transmission(api: WireApi, job: Job, number: int, chunked: bool) -> Transmission:
    """Everything about the answer to request `number`, before anything is sent."""
    if job.plan.is_constant:
        return _constant(api, job, chunked)
    return _transmission(api, job, number, chunked)


@lru_cache(maxsize=32)
def _constant(api: WireApi, job: Job, chunked: bool) -> Transmission:
    return _transmission(api, job, 0, chunked)


def _transmission(api: WireApi, job: Job, number: int, chunked: bool) -> Transmission:
    framing = api.framing(job)
    spoiler = Spoiler(framing.malform, framing.oversize, api.error_event)
    timed = time_frames(render(api, job), job.plan, number)
    timed = insert_pings(timed, framing.ping, job.plan.ping_every_s)
    return finish_transmission(timed, job.plan, number, chunked, spoiler)


def finish_transmission(
    timed: list[Timed], plan: Plan, number: int, chunked: bool, spoiler: Spoiler
) -> Transmission:
    """Apply the plan's faults to timed events and encode them for the socket."""
    rng = Random(f"fault:{plan.seed}:{number}")
    timed = alter_events(timed, plan.faults, spoiler, rng)
    writes = group_writes(timed, plan.events_per_write, plan.events_per_chunk)
    if plan.split_bytes is not None:
        writes = recut(writes, plan.split_bytes, rng)
    body = alter_bytes(writes, timed, plan.faults, rng)
    events = _count_events(body.writes, timed)
    if any(isinstance(fault, Gzip) for fault in plan.faults):
        body = compress(body)
    return _encode(body, timed, events, chunked)


def _count_events(writes: Sequence[Write], timed: Sequence[Timed]) -> tuple[int, ...]:
    ends: list[int] = []
    end = 0
    for item in timed:
        end += len(item.frame.data)
        ends.append(end)
    counts: list[int] = []
    sent = 0
    for write in writes:
        sent += write.size_bytes
        counts.append(bisect_right(ends, sent))
    return tuple(counts)


def _encode(
    body: Body, timed: Sequence[Timed], events: tuple[int, ...], chunked: bool
) -> Transmission:
    encode = encode_chunks if chunked else b"".join
    return Transmission(
        payloads=tuple(encode(write.pieces) for write in body.writes),
        due_ns=tuple(write.due_ns for write in body.writes),
        body_bytes=tuple(write.size_bytes for write in body.writes),
        events=events,
        frames=tuple(item.frame for item in timed),
        ending=body.ending,
        ending_due_ns=body.ending_due_ns,
        hold_s=body.hold_s,
    )
