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
    ToolCallEnd,
    ToolCallStart,
)


def broken_promise(events: Sequence[Event]) -> str | None:
    """What is wrong with the order of events; None if nothing is.

    Numbers without gaps; one start, one end, nothing after it; parts are numbered in the order in
    which they begin, begin and end once, grow in between, and have ended when the message has.
    """
    started = 0
    for number, event in enumerate(events):
        if event.seq != number:
            return f"event {number} has seq {event.seq}"
        started += type(event) is MessageStart
        if type(event) is MessageEnd and number + 1 < len(events):
            return f"event {number + 1} follows MessageEnd"
    if started > 1 or (started == 0 and any(hasattr(event, "part") for event in events)):
        return f"{started} MessageStart events"
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
