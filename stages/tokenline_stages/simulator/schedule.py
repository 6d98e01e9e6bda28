"""From frames to timed writes: when every event is due and what goes out together."""

from collections.abc import Iterator, Sequence
from random import Random

from .distributions import draw
from .frames import Frame, Timed, When
from .plan import Plan

_NS = 1_000_000_000


def draw_due_times(frames: Sequence[Frame], plan: Plan, number: int) -> list[int]:
    """The send time of every frame, nanoseconds after the arrival of request `number`.

    Content follows the plan's clock, late or early by its jitter but never out of order; the
    other events go with what they belong to. Without any content the end is due at the time of
    the first token.
    """
    rng = Random(f"time:{plan.seed}:{number}")
    due_ns: list[int] = []
    waiting = 0
    latest = round(plan.headers_s * _NS)
    tokens = _draw_token_times(plan, rng)
    content = False
    for frame in frames:
        if frame.when is When.NEXT:
            waiting += 1
            continue
        if frame.when is When.TOKEN or (frame.when is When.AFTER and not content):
            latest = max(latest, next(tokens))
            content = True
        due_ns.extend([latest] * (waiting + 1))
        waiting = 0
    return due_ns + [latest] * waiting


def _draw_token_times(plan: Plan, rng: Random) -> Iterator[int]:
    nominal_s = max(plan.headers_s, draw(plan.ttft_s, rng))
    jitter_s = plan.jitter_s
    while True:
        shift_s = rng.uniform(-jitter_s, jitter_s) if jitter_s else 0.0
        yield round((nominal_s + shift_s) * _NS)
        nominal_s += draw(plan.inter_token_s, rng)


def insert_pings(timed: Sequence[Timed], ping: bytes, every_s: float) -> list[Timed]:
    """Put a ping at every multiple of `every_s` before the last event."""
    if not (ping and every_s):
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


def group_frames(frames: Sequence[Frame], plan: Plan) -> list[range]:
    """Which events go out together: at most `events_per_write`, in order.

    The first content event never shares a write with service events that are due before it.
    """
    waits = not (isinstance(plan.ttft_s, int | float) and plan.ttft_s <= plan.headers_s)
    groups: list[range] = []
    start = 0
    content = not waits
    for n, frame in enumerate(frames):
        early = not content and frame.when is not When.AT_ONCE
        content = content or early
        if n > start and (early or n - start == plan.events_per_write):
            groups.append(range(start, n))
            start = n
    if frames:
        groups.append(range(start, len(frames)))
    return groups
