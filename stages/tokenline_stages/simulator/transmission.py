"""A response ready to be sent: its bytes, its planned times and what each write completes."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from random import Random

from .alteration import Body, Ending, Spoiler, alter_bytes, alter_events, compress, recut
from .answer import Token, compose
from .apis.api import Job, WireApi
from .faults import Gzip
from .frames import PLACEHOLDER, Frame, Timed, When, Write, encode_chunks
from .plan import Plan
from .schedule import draw_due_times, group_frames, insert_pings


@dataclass(frozen=True, slots=True)
class Progress:
    """What each write completes; kept in the ledger after the bytes are gone.

    Attributes:
        body_bytes: body bytes of each write.
        events: how many events are complete after each write.
        content: for each event, whether it counts as content.
        tokens: for each event, the content it carries, where it is known.
        spoiled: index of the first event that a fault put there or changed, if there is one.
    """

    body_bytes: tuple[int, ...]
    events: tuple[int, ...]
    content: tuple[bool, ...]
    tokens: tuple[Token | None, ...]
    spoiled: int | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """The bytes of a response without its times.

    Attributes:
        payloads: for the socket, one a write, chunked coding included.
        progress: what they complete.
    """

    payloads: tuple[bytes, ...]
    progress: Progress


@dataclass(frozen=True, slots=True)
class Transmission:
    """What is sent and when.

    Attributes:
        layout: the bytes.
        due_ns: planned time of each write, after the request's arrival.
        ending: what happens after the last write.
        ending_due_ns: when.
        hold_s: how long silence lasts.
    """

    layout: Layout
    due_ns: tuple[int, ...]
    ending: Ending = Ending.COMPLETE
    ending_due_ns: int = 0
    hold_s: float = 0.0


def plan_transmission(
    api: WireApi, job: Job, number: int, chunked: bool, message_id: str
) -> Transmission:
    """Everything about the answer to request `number`, before anything is sent.

    Where the bytes are the same for all requests, the message id is filled in by the sender.
    """
    plan = job.plan
    if plan.faults or plan.split_bytes or plan.ping_every_s:
        return _altered(api, job, number, chunked, message_id)
    if plan.is_constant:
        return _constant(api, job, chunked)
    return _paced(api, job, number, chunked)


def _render(api: WireApi, job: Job) -> tuple[Frame, ...]:
    """The events of an answer; rendered once for all plans that differ in times or faults."""
    return _render_content(api, replace(job, plan=job.plan.content))


@lru_cache(maxsize=32)
def _render_content(api: WireApi, job: Job) -> tuple[Frame, ...]:
    return tuple(api.render(compose(job.plan, job.max_tokens), job))


@lru_cache(maxsize=32)
def _layout(api: WireApi, job: Job, chunked: bool) -> Layout:
    frames = _render(api, job)
    groups = group_frames(frames, job.plan)
    writes = [
        Write(0, _pieces([frames[n].data for n in group], job.plan.events_per_chunk))
        for group in groups
    ]
    return _encode(writes, tuple(group.stop for group in groups), frames, chunked)


def _pieces(data: list[bytes], per_chunk: int) -> tuple[bytes, ...]:
    if per_chunk == 1:
        return tuple(data)
    return tuple(b"".join(data[n : n + per_chunk]) for n in range(0, len(data), per_chunk))


@lru_cache(maxsize=32)
def _constant(api: WireApi, job: Job, chunked: bool) -> Transmission:
    return _paced(api, job, 0, chunked)


def _paced(api: WireApi, job: Job, number: int, chunked: bool) -> Transmission:
    layout = _layout(api, job, chunked)
    due_ns = draw_due_times(_render(api, job), job.plan, number)
    return Transmission(layout, tuple(due_ns[end - 1] for end in layout.progress.events))


def _altered(api: WireApi, job: Job, number: int, chunked: bool, message_id: str) -> Transmission:
    framing = api.framing(job)
    spoiler = Spoiler(framing.malform, framing.oversize, api.error_event)
    # Faults cut frames anywhere, also inside the id: it must be there before them.
    placeholder, id_ = PLACEHOLDER.encode(), message_id.encode()
    frames = [replace(f, data=f.data.replace(placeholder, id_)) for f in _render(api, job)]
    due_ns = draw_due_times(frames, job.plan, number)
    timed = [Timed(due, frame) for due, frame in zip(due_ns, frames, strict=True)]
    timed = insert_pings(timed, framing.ping, job.plan.ping_every_s)
    return alter_transmission(timed, job.plan, number, chunked, spoiler)


def alter_transmission(
    timed: list[Timed],
    plan: Plan,
    number: int,
    chunked: bool,
    spoiler: Spoiler,
    ending: Ending = Ending.COMPLETE,
) -> Transmission:
    """Apply the plan's faults to timed events and encode them for the socket.

    `ending` is how the body ends if no fault decides otherwise.
    """
    rng = Random(f"fault:{plan.seed}:{number}")
    timed = alter_events(timed, plan.faults, spoiler, rng)
    writes = _group(timed, plan)
    if plan.split_bytes is not None:
        writes = recut(writes, plan.split_bytes, rng)
    body = alter_bytes(Body.of(writes, ending), timed, plan.faults, rng)
    events = _count_events(body.writes, timed)
    if any(isinstance(fault, Gzip) for fault in plan.faults):
        body = compress(body)
    frames = tuple(item.frame for item in timed)
    return _timed(body, _encode(body.writes, events, frames, chunked))


def _timed(body: Body, layout: Layout) -> Transmission:
    due_ns = tuple(write.due_ns for write in body.writes)
    return Transmission(layout, due_ns, body.ending, body.ending_due_ns, body.hold_s)


def _group(timed: Sequence[Timed], plan: Plan) -> list[Write]:
    groups = group_frames([item.frame for item in timed], plan)
    return [
        Write(
            timed[group[-1]].due_ns,
            _pieces([timed[n].frame.data for n in group], plan.events_per_chunk),
        )
        for group in groups
    ]


def _count_events(writes: Sequence[Write], timed: Sequence[Timed]) -> tuple[int, ...]:
    """How many events have their last byte in or before each write."""
    ends = list(accumulate(len(item.frame.data) for item in timed))
    sent = accumulate(write.size_bytes for write in writes)
    return tuple(bisect_right(ends, size) for size in sent)


def _encode(
    writes: Sequence[Write], events: tuple[int, ...], frames: tuple[Frame, ...], chunked: bool
) -> Layout:
    encode = encode_chunks if chunked else b"".join
    progress = Progress(
        body_bytes=tuple(write.size_bytes for write in writes),
        events=events,
        content=tuple(frame.when is When.TOKEN for frame in frames),
        tokens=tuple(frame.token for frame in frames),
        spoiled=next((n for n, frame in enumerate(frames) if frame.spoiled), None),
    )
    return Layout(tuple(encode(write.pieces) for write in writes), progress)
