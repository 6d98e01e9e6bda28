"""From frames to timed writes: when every event is due and what goes out together."""

from collections.abc import Iterable, Sequence
from random import Random

from .distributions import draw
from .frames import Frame, Timed, When, Write
from .plan import Plan

_NS = 1_000_000_000


def time_frames(frames: Sequence[Frame], plan: Plan, number: int) -> list[Timed]:
    """Give every frame its send time; `number` is the request's, and decides drawn times."""
    rng = Random(f"time:{plan.seed}:{number}")
    headers_ns = round(plan.headers_s * _NS)
    nominal_s = max(plan.headers_s, draw(plan.ttft_s, rng))
    latest = headers_ns
    waiting: list[Frame] = []
    timed: list[Timed] = []
    first = True
    for frame in frames:
        if frame.when is When.NEXT:
            waiting.append(frame)
            continue
        if frame.when is When.TOKEN:
            if not first:
                nominal_s += draw(plan.inter_token_s, rng)
            first = False
            shift = rng.uniform(-plan.jitter_s, plan.jitter_s) if plan.jitter_s else 0.0
            latest = max(latest, round((nominal_s + shift) * _NS))
        elif first and frame.when is When.AFTER:
            latest = max(latest, round(nominal_s * _NS))
        timed.extend(Timed(latest, earlier) for earlier in waiting)
        waiting.clear()
        timed.append(Timed(latest, frame))
    timed.extend(Timed(latest, earlier) for earlier in waiting)
    return timed


def insert_pings(timed: Sequence[Timed], ping: bytes, every_s: float) -> list[Timed]:
    """Put a ping at every multiple of `every_s` before the last event."""
    if not (ping and every_s and timed):
        return list(timed)
    step = max(1, round(every_s * _NS))
    frame = Frame(ping, When.AFTER)
    merged: list[Timed] = []
    due = step
    for item in timed:
        while due < item.due_ns:
            merged.append(Timed(due, frame))
            due += step
        merged.append(item)
    return merged


def group_writes(
    timed: Iterable[Timed], events_per_write: int, events_per_chunk: int
) -> list[Write]:
    """Put that many events into one write, due when the last of them is.

    The first content event never waits for later ones' sake with what precedes it: service
    events that are due earlier are a write of their own.
    """
    writes: list[Write] = []
    group: list[Timed] = []
    contents = False
    for item in timed:
        token = item.frame.token is not None
        full = len(group) == events_per_write
        early = token and not contents and group and group[-1].due_ns < item.due_ns
        if full or early:
            writes.append(_write(group, events_per_chunk))
            group = []
        contents = contents or token
        group.append(item)
    if group:
        writes.append(_write(group, events_per_chunk))
    return writes


def _write(group: Sequence[Timed], per_chunk: int) -> Write:
    data = [item.frame.data for item in group]
    if per_chunk > 1:
        data = [b"".join(data[n : n + per_chunk]) for n in range(0, len(data), per_chunk)]
    return Write(group[-1].due_ns, tuple(data))
