"""Whether events keep the promises of `tokenline.events`, whatever they say."""

from __future__ import annotations

from collections.abc import Sequence

from tokenline.events import (
    Citation,
    Event,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartStart,
    Ping,
    ToolCallEnd,
    ToolCallStart,
    UnknownEvent,
)

_BEFORE_START = (Ping, UnknownEvent)


def broken_promise(events: Sequence[Event]) -> str | None:
    """What is wrong with the order of events; None if nothing is.

    Numbers without gaps; one start, which only pings and unknown events may precede; one end, and
    nothing after it. Parts are numbered in the order in which they begin; they begin and end
    once, grow in between, and have ended when the message has.
    """
    started = False
    for number, event in enumerate(events):
        name = f"event {number} ({type(event).__name__})"
        if event.seq != number:
            return f"{name} has seq {event.seq}"
        if (type(event) is MessageStart) == started and not isinstance(event, _BEFORE_START):
            return f"{name}, where {'none' if started else 'MessageStart'} should be"
        started = started or type(event) is MessageStart
        if type(event) is MessageEnd and number + 1 < len(events):
            return f"{name} is not the last"
    return _broken_parts(events)


def _broken_parts(events: Sequence[Event]) -> str | None:
    opened = 0
    open_parts: set[int] = set()
    for event in events:
        part = getattr(event, "part", None)
        place = f"event {event.seq} ({type(event).__name__}) of part {part}"
        if isinstance(event, PartStart | ToolCallStart):
            if part != opened:
                return f"{place}, where part {opened} should begin"
            opened += 1
            open_parts.add(event.part)
        elif isinstance(event, PartEnd | ToolCallEnd):
            if event.part not in open_parts:
                return f"{place}, which is not open"
            open_parts.remove(event.part)
        elif isinstance(event, Citation):
            if event.part >= opened:
                return f"{place}, which has not begun"
        elif part is not None and part not in open_parts:
            return f"{place}, which is not open"
        elif isinstance(event, MessageEnd) and open_parts:
            return f"MessageEnd while parts {sorted(open_parts)} are open"
    return None
