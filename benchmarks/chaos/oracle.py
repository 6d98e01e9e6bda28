"""What must come of a run, given what the simulator did to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tokenline.errors import (
    FirstTokenTimeoutError,
    HeadersTimeoutError,
    IdleTimeoutError,
    LimitExceededError,
    MalformedStreamError,
    NotAStreamError,
    OverloadedError,
    RateLimitError,
    RunCancelledError,
    ServerError,
    StallTimeoutError,
    StreamCutError,
    StreamError,
    StreamTimeoutError,
)
from tokenline.record import Outcome
from tokenline_stages.simulator import Plan
from tokenline_stages.simulator.faults import (
    Cut,
    Delay,
    DelayHeaders,
    DuplicateEvent,
    ErrorEvent,
    Fault,
    Gzip,
    HttpError,
    HugeHeaders,
    MalformedEvent,
    OversizedEvent,
    Redirect,
    ReorderedEvents,
    Reset,
    Silence,
    SlowLoris,
    WrongContentType,
    WrongLength,
)

from .ways import HELD_BACK_S, IN_TIME_S, Way

Entry = Mapping[str, Any]


@dataclass
class Seen:
    """What one run came to.

    Attributes:
        text: that of the result.
        read: the text that its reader was given.
    """

    request_id: str
    way: Way
    manner: str
    took_s: float = 0.0
    text: str = ""
    read: str = ""
    outcome: Outcome | None = None
    error: BaseException | None = None
    message_id: str = ""


class Text(Enum):
    """How much of the text that was sent must be in the result."""

    ALL = "all that was sent"
    BEFORE = "all before the fault"
    EITHER = "all that was sent, or all before the fault"
    PART = "its beginning"
    NONE = "nothing"


@dataclass(frozen=True)
class Expected:
    """How a run may end: `error` None is well."""

    error: type[StreamError] | None
    text: Text


WELL = Expected(None, Text.ALL)

_STATUS: dict[int, type[StreamError]] = {
    429: RateLimitError,
    500: ServerError,
    502: ServerError,
    529: OverloadedError,
}


def expect(plan: Plan, way: Way) -> tuple[Expected, ...]:
    """How a run that is read to its end may end."""
    if plan.faults:
        return _expect_fault(plan.faults[0], way)
    if plan.ttft_s == HELD_BACK_S:
        return (Expected(FirstTokenTimeoutError if way.has_pings else IdleTimeoutError, Text.NONE),)
    if plan.inter_token_s == HELD_BACK_S:
        return (Expected(StallTimeoutError if way.has_pings else IdleTimeoutError, Text.ALL),)
    return (WELL,)


def _expect_fault(fault: Fault, way: Way) -> tuple[Expected, ...]:
    match fault:
        case DelayHeaders(delay_s=delay_s) if delay_s >= HELD_BACK_S:
            return (Expected(HeadersTimeoutError, Text.NONE),)
        case SlowLoris(interval_s=interval_s) if interval_s > 0.1:
            return (Expected(FirstTokenTimeoutError, Text.NONE),)
        case DelayHeaders() | Delay() | SlowLoris() | DuplicateEvent():
            return (WELL,)
        case ReorderedEvents():
            # What comes behind the response's end is not part of it.
            return (Expected(None, Text.EITHER),)
        case Cut():
            return (Expected(StreamCutError, Text.ALL),)
        case Reset():
            # The kernel throws away what was not read yet.
            return (Expected(StreamCutError, Text.PART),)
        case Silence():
            return (Expected(IdleTimeoutError, Text.ALL),)
        case _:
            return _expect_spoiled(fault, way)


def _expect_spoiled(fault: Fault, way: Way) -> tuple[Expected, ...]:
    match fault:
        case MalformedEvent():
            return (Expected(MalformedStreamError, Text.BEFORE),)
        case OversizedEvent():
            return (Expected(LimitExceededError, Text.BEFORE),)
        case ErrorEvent():
            return (Expected(OverloadedError, Text.BEFORE),)
        case HttpError(status=status):
            return (Expected(_STATUS[status], Text.NONE),)
        case WrongContentType() | Redirect():
            return (Expected(NotAStreamError, Text.NONE),)
        case HugeHeaders():
            # The SDKs' client takes any number of headers that are not too long each.
            return (WELL,) if way.uses_sdk else (Expected(LimitExceededError, Text.NONE),)
        case WrongLength(delta_bytes=delta):
            return _expect_wrong_length(delta, way)
        case Gzip(declared=declared):
            return (WELL,) if declared else (Expected(NotAStreamError, Text.NONE),)
        case _:
            raise ValueError(f"nothing is known of {fault}")


def _expect_wrong_length(delta_bytes: int, way: Way) -> tuple[Expected, ...]:
    if delta_bytes > 0:
        return (WELL,) if way.has_last_event else (Expected(StreamCutError, Text.ALL),)
    # What goes beyond the length is not read: events behind the finish reason, or more.
    return Expected(StreamCutError, Text.PART), Expected(None, Text.ALL)


def judge(seen: Seen, entry: Entry | None, plan: Plan | None) -> str | None:
    """What is wrong with a run, in words; None if all is well.

    Args:
        seen: what it came to.
        entry: the ledger's entry of its last request, if one reached the server.
        plan: what the server was told to do.
    """
    if seen.took_s > IN_TIME_S:
        return f"took {seen.took_s:.1f} s"
    if seen.outcome is None:
        return "has no outcome"
    if not seen.text.startswith(seen.read):
        return f"gave its reader {seen.read[-40:]!r} but has {seen.text[-40:]!r}"
    if seen.manner != "to the end" and _is_left(seen):
        return _judge_text(seen, entry, Text.PART)
    if entry is None or plan is None:
        return f"has no entry in the ledger; {seen.error!r}"
    if entry["outcome"] == "open":
        return "is still open at the server"
    problems = [_judge_end(seen, entry, expected) for expected in expect(plan, seen.way)]
    return None if None in problems else " or ".join(map(str, problems))


def _is_left(seen: Seen) -> bool:
    return seen.outcome is Outcome.CANCELLED or isinstance(seen.error, RunCancelledError)


def _judge_end(seen: Seen, entry: Entry, expected: Expected) -> str | None:
    error = type(seen.error) if seen.error is not None else None
    if error is not expected.error:
        wanted = expected.error.__name__ if expected.error else "no error"
        return f"ended with {seen.error!r} instead of {wanted}"
    if seen.outcome is not _outcome_of(expected.error):
        return f"has outcome {seen.outcome} with {seen.error!r}"
    if seen.manner == "to the end" and seen.read != seen.text:
        return f"gave its reader {len(seen.read)} of {len(seen.text)} characters"
    if isinstance(seen.error, StreamError) and (
        seen.error.partial is None or seen.error.partial.text != seen.text
    ):
        return "raised an error without what had arrived"
    # A cut ends some bodies behind the response's last event but before the body's end.
    return _judge_text(seen, entry, expected.text)


def _outcome_of(error: type[StreamError] | None) -> Outcome:
    if error is None:
        return Outcome.OK
    return Outcome.TIMEOUT if issubclass(error, StreamTimeoutError) else Outcome.ERROR


def _judge_text(seen: Seen, entry: Entry | None, wanted: Text) -> str | None:
    sent, before = (entry["text"], entry["text_before_fault"]) if entry is not None else ("", "")
    right = {
        Text.ALL: seen.text == sent,
        Text.BEFORE: seen.text == before,
        Text.EITHER: seen.text in (sent, before),
        Text.PART: sent.startswith(seen.text),
        Text.NONE: not seen.text,
    }
    if right[wanted]:
        return None
    return f"has {seen.text[-40:]!r} of {sent[-40:]!r} ({before[-20:]!r}), not {wanted.value}"
