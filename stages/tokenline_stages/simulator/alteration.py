"""Faults applied to a planned stream: first to its events, then to its bytes."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from random import Random

from .faults import (
    AtByte,
    AtEvent,
    Cut,
    Delay,
    DuplicateEvent,
    ErrorEvent,
    Fault,
    MalformedEvent,
    OversizedEvent,
    ReorderedEvents,
    Reset,
    Silence,
    SlowLoris,
)
from .frames import Frame, Timed, When, Write

_NS = 1_000_000_000


class Ending(Enum):
    """How a body ends."""

    COMPLETE = "complete"
    CUT = "cut"
    RESET = "reset"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class Body:
    """The writes of one response and what comes after the last of them.

    Attributes:
        writes: in order of their times.
        ending: what happens then.
        ending_due_ns: when, after the request's arrival.
        hold_s: how long silence lasts.
    """

    writes: tuple[Write, ...]
    ending: Ending = Ending.COMPLETE
    ending_due_ns: int = 0
    hold_s: float = 0.0

    @classmethod
    def of(cls, writes: Sequence[Write], ending: Ending = Ending.COMPLETE) -> "Body":
        """A body that ends with its last write."""
        return cls(tuple(writes), ending, writes[-1].due_ns if writes else 0)


@dataclass(frozen=True, slots=True)
class Spoiler:
    """How one API's events are spoiled.

    Attributes:
        malform: breaks an event's content, not its framing.
        oversize: makes an event of that many bytes.
        error: makes an error event from a message and a code.
    """

    malform: Callable[[bytes], bytes]
    oversize: Callable[[int], bytes]
    error: Callable[[str, str | None], bytes]


def find_event(timed: Sequence[Timed], fault: AtEvent, rng: Random) -> int:
    """Index of the event that a fault strikes; the number of events if there are too few."""
    if fault.at_event is not None:
        return min(fault.at_event, len(timed))
    if fault.after_tokens is None:
        return rng.randrange(len(timed)) if timed else 0
    tokens = [n for n, item in enumerate(timed) if item.frame.when is When.TOKEN]
    if fault.after_tokens < len(tokens):
        return tokens[fault.after_tokens]
    exact = tokens and fault.after_tokens == len(tokens)
    return tokens[-1] + 1 if exact else len(timed)


def alter_events(
    timed: list[Timed], faults: Sequence[Fault], spoiler: Spoiler, rng: Random
) -> list[Timed]:
    """Apply the faults that strike whole events, in their order."""
    for fault in faults:
        if isinstance(fault, AtEvent) and not isinstance(fault, AtByte):
            index = find_event(timed, fault, rng)
            timed = _alter_event(timed, index, fault, spoiler)
    return timed


def _alter_event(timed: list[Timed], index: int, fault: AtEvent, spoiler: Spoiler) -> list[Timed]:
    before, struck, after = timed[:index], timed[index : index + 1], timed[index + 1 :]
    due_ns = (struck or before or [Timed(0, Frame(b"", When.AFTER))])[-1].due_ns
    match fault:
        case MalformedEvent():
            broken = [
                Timed(t.due_ns, Frame(spoiler.malform(t.frame.data), t.frame.when, spoiled=True))
                for t in struck
            ]
            return before + broken + after
        case OversizedEvent():
            huge = Frame(spoiler.oversize(fault.size_bytes), When.AFTER, spoiled=True)
            extra = Timed(due_ns, huge)
            return [*before, extra, *struck, *after]
        case DuplicateEvent():
            return before + struck + _spoiled(struck) * fault.copies + after
        case ReorderedEvents():
            return before + _swapped(struck, after[:1]) + after[1:]
        case ErrorEvent():
            error = spoiler.error(fault.message, fault.error_type)
            return [*before, Timed(due_ns, Frame(error, When.AFTER, spoiled=True))]
        case _:
            return timed


def _spoiled(timed: list[Timed]) -> list[Timed]:
    return [replace(item, frame=replace(item.frame, spoiled=True)) for item in timed]


def _swapped(first: list[Timed], second: list[Timed]) -> list[Timed]:
    if not second:
        return first
    (a,), (b,) = _spoiled(first), _spoiled(second)
    return [replace(b, due_ns=a.due_ns), replace(a, due_ns=b.due_ns)]


def alter_bytes(body: Body, timed: Sequence[Timed], faults: Sequence[Fault], rng: Random) -> Body:
    """Apply the faults that strike bytes. Positions are those of the body without delays."""
    for fault in faults:
        if isinstance(fault, AtByte):
            body = _alter_body(body, fault, _find_byte(timed, fault, rng))
    return body


def _find_byte(timed: Sequence[Timed], fault: AtByte, rng: Random) -> int:
    if fault.at_byte is not None:
        return fault.at_byte
    index = find_event(timed, fault, rng)
    return sum(len(item.frame.data) for item in timed[:index])


def _alter_body(body: Body, fault: AtByte, position: int) -> Body:
    before, after = _split(body.writes, position)
    due_ns = after[0].due_ns if after else body.ending_due_ns
    match fault:
        case Cut():
            return Body(before, Ending.CUT, due_ns)
        case Reset():
            return Body(before, Ending.RESET, due_ns)
        case Silence():
            return Body(before, Ending.SILENCE, due_ns, fault.hold_s)
        case Delay():
            return _delayed(body, before, after, round(fault.delay_s * _NS))
        case SlowLoris():
            slow = tuple(_trickle(after, fault))
            ending = slow[-1].due_ns if slow else body.ending_due_ns
            return replace(body, writes=before + slow, ending_due_ns=ending)
        case _:
            return body


def _delayed(
    body: Body, before: tuple[Write, ...], after: tuple[Write, ...], delay_ns: int
) -> Body:
    late = tuple(replace(write, due_ns=write.due_ns + delay_ns) for write in after)
    return replace(body, writes=before + late, ending_due_ns=body.ending_due_ns + delay_ns)


def _split(writes: Sequence[Write], position: int) -> tuple[tuple[Write, ...], tuple[Write, ...]]:
    """The writes before and after a byte of the body; a write is cut in two if need be."""
    left = position
    for n, write in enumerate(writes):
        if left < write.size_bytes:
            head, tail = _split_pieces(write.pieces, left)
            first = (replace(write, pieces=head),) if head else ()
            rest = (replace(write, pieces=tail), *writes[n + 1 :])
            return (*writes[:n], *first), rest
        left -= write.size_bytes
    return tuple(writes), ()


def _split_pieces(
    pieces: tuple[bytes, ...], position: int
) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    left = position
    for n, piece in enumerate(pieces):
        if left < len(piece):
            head = (piece[:left],) if left else ()
            return (*pieces[:n], *head), (piece[left:], *pieces[n + 1 :])
        left -= len(piece)
    return pieces, ()


def _trickle(writes: Sequence[Write], fault: SlowLoris) -> Iterator[Write]:
    step = round(fault.interval_s * _NS)
    due_ns = 0
    for write in writes:
        data = b"".join(write.pieces)
        for start in range(0, len(data), fault.bytes_per_write):
            due_ns = max(write.due_ns, due_ns)
            yield Write(due_ns, (data[start : start + fault.bytes_per_write],))
            due_ns += step


def recut(writes: Sequence[Write], sizes: int | tuple[int, int], rng: Random) -> list[Write]:
    """Cut the body at other places: every `sizes` bytes, or sizes drawn from a range.

    A piece is due when the write that held its last byte was.
    """
    least, most = (sizes, sizes) if isinstance(sizes, int) else sizes
    body = b"".join(piece for write in writes for piece in write.pieces)
    ends = list(_running_ends(writes))
    result: list[Write] = []
    start = source = 0
    while start < len(body):
        stop = min(len(body), start + rng.randint(least, most))
        while ends[source] < stop:
            source += 1
        result.append(Write(writes[source].due_ns, (body[start:stop],)))
        start = stop
    return result


def _running_ends(writes: Sequence[Write]) -> Iterator[int]:
    end = 0
    for write in writes:
        end += write.size_bytes
        yield end


def compress(body: Body) -> Body:
    """The body in gzip coding (RFC 1952), flushed after every write so that nothing waits."""
    gzip = zlib.compressobj(wbits=31)
    packed = [
        Write(w.due_ns, (gzip.compress(b"".join(w.pieces)) + gzip.flush(zlib.Z_SYNC_FLUSH),))
        for w in body.writes
    ]
    if packed and body.ending is Ending.COMPLETE:
        last = packed[-1]
        packed[-1] = Write(last.due_ns, (last.pieces[0] + gzip.flush(),))
    return replace(body, writes=tuple(packed))
