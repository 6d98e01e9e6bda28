"""Typed options, checked once when a pipeline is built or a run starts. Units are in the names."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

KIB = 1024
MIB = 1024 * KIB


class Overflow(StrEnum):
    """What an edge does when its queue is full (terms of Pekko's OverflowStrategy)."""

    BLOCK = "block"
    """Back-pressure: the sender waits. Nothing is lost."""
    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"
    CONFLATE = "conflate"
    """Neighbouring text deltas of one part become one; blocks if that does not make room."""
    FAIL = "fail"


class Options(BaseModel):
    """Base of all options: immutable, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Capacity(Options):
    """Bounds of one queue. A batch larger than both is admitted when the queue is empty.

    Attributes:
        max_items: most items (events) waiting. 256 holds a second of the fastest models.
        max_bytes: most wire bytes the waiting items came from.
        overflow: what happens when there is no room.
    """

    max_items: int = Field(default=256, ge=1)
    max_bytes: int = Field(default=1 * MIB, ge=1)
    overflow: Overflow = Overflow.BLOCK


class Limits(Options):
    """Bounds on what is read from outside; passing one raises `LimitExceededError`.

    Attributes:
        max_line_bytes: longest line of an SSE or NDJSON stream.
        max_event_bytes: largest single event (joined data lines, or one binary frame).
        max_arguments_bytes: largest argument text of one tool call, UTF-8.
        max_message_bytes: most response bytes of one run.
        max_json_depth: deepest nesting of an event's JSON.
        max_parts: most content parts of one response.
    """

    max_line_bytes: int = Field(default=16 * MIB, ge=1)
    max_event_bytes: int = Field(default=16 * MIB, ge=1)
    max_arguments_bytes: int = Field(default=16 * MIB, ge=1)
    max_message_bytes: int = Field(default=256 * MIB, ge=1)
    max_json_depth: int = Field(default=256, ge=1)
    max_parts: int = Field(default=10_000, ge=1)
