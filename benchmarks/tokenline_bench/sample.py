"""One measured request: integers only, cheap to keep and to send between processes."""

from __future__ import annotations

from array import array
from enum import StrEnum

import msgspec


class Outcome(StrEnum):
    """How a measured request ended."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    """The harness's own time limit passed."""
    CANCELLED = "cancelled"
    """The harness left it on purpose (cancellation rate)."""
    UNFINISHED = "unfinished"
    """The measurement ended first."""


class Failure(msgspec.Struct, frozen=True, gc=False):
    """Why a request failed.

    Attributes:
        type: class of the error, `RateLimitError` ...
        message: its text, one line.
        status: HTTP status, if there was one.
        code: the provider's code, if there was one.
    """

    type: str
    message: str
    status: int | None = None
    code: str | None = None


class StageTimes(msgspec.Struct, frozen=True, gc=False):
    """What one pipeline stage took in one request; meanings as in `tokenline.StageRecord`."""

    name: str
    kind: str
    processing_ns: int
    queue_wait_ns: int
    blocked_ns: int
    idle_ns: int
    items: int


class Sample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request, measured.

    All `*_ns` stamps are `time.perf_counter_ns`, comparable between the processes of a machine;
    None where the request did not get there.

    Attributes:
        endpoint: label of the endpoint.
        level: which load level, from 0; -1 for the warm-up.
        number: place in the order of work, the same for every process.
        worker: which process sent it.
        conversation: number of the conversation it belongs to.
        turn: its place in the conversation, from 0.
        scheduled_ns: when it should have been sent. Closed loop: when its user was free.
        started_ns: when the run was entered.
        request_ns: when the request was issued.
        headers_ns: response headers were there.
        first_byte_ns: first body bytes.
        first_chunk_ns: first provider event of any kind, a role-only chunk too.
        first_token_ns: first content (text, reasoning, refusal, tool call).
        first_answer_ns: first content that is not reasoning.
        first_delivery_ns: the first content was handed to the reader.
        last_token_ns: last content.
        ended_ns: the response was over.
        reads_ns: stamps of the reads that brought content, int64 in the machine's byte order.
        reads_events: content events that each of them brought, int32.
        reasoning_seen: reasoning was streamed.
        input_tokens: as the server counts them.
        cached_input_tokens: of these, read from a cache.
        output_tokens: as the server counts them, reasoning included.
        reasoning_tokens: of these, reasoning.
        asked_input_tokens: what the work asked for, if it did.
        asked_output_tokens: what the work asked for, if it did.
        body_bytes: response bytes.
        finish_reason: the provider's word.
        outcome: how it ended.
        failure: why it failed.
        stages: what each stage of the pipeline took.
    """

    endpoint: str
    level: int
    number: int
    scheduled_ns: int
    started_ns: int
    worker: int = 0
    conversation: int = 0
    turn: int = 0
    request_ns: int | None = None
    headers_ns: int | None = None
    first_byte_ns: int | None = None
    first_chunk_ns: int | None = None
    first_token_ns: int | None = None
    first_answer_ns: int | None = None
    first_delivery_ns: int | None = None
    last_token_ns: int | None = None
    ended_ns: int = 0
    reads_ns: bytes = b""
    reads_events: bytes = b""
    reasoning_seen: bool = False
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    asked_input_tokens: int | None = None
    asked_output_tokens: int | None = None
    body_bytes: int = 0
    finish_reason: str | None = None
    outcome: Outcome = Outcome.OK
    failure: Failure | None = None
    stages: tuple[StageTimes, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it counts for latencies."""
        return self.outcome is Outcome.OK

    def stamps_ns(self) -> array[int]:
        """Receive times of the reads that brought content."""
        stamps: array[int] = array("q")
        stamps.frombytes(self.reads_ns)
        return stamps

    def events(self) -> array[int]:
        """Content events that each of these reads brought."""
        counts: array[int] = array("i")
        counts.frombytes(self.reads_events)
        return counts

    def since_request(self, stamp_ns: int | None) -> int | None:
        """Nanoseconds from issuing the request to a stamp."""
        if stamp_ns is None or self.request_ns is None:
            return None
        return stamp_ns - self.request_ns

    def since_schedule(self, stamp_ns: int | None) -> int | None:
        """Nanoseconds from the scheduled time to a stamp."""
        return None if stamp_ns is None else stamp_ns - self.scheduled_ns

    @property
    def content_events(self) -> int:
        """Content events in all (chunks, in the words of most tools)."""
        return sum(self.events())

    @property
    def streamed_tokens(self) -> int | None:
        """Output tokens that were streamed: hidden reasoning is billed but never arrives.

        None without the server's count, or where its counts contradict each other.
        """
        if self.output_tokens is None:
            return None
        hidden = 0 if self.reasoning_seen else self.reasoning_tokens or 0
        return self.output_tokens - hidden if hidden <= self.output_tokens else None
