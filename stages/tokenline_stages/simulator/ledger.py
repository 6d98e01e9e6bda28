"""What the simulator really did, request by request: the ground truth of a measurement.

Stamps are `time.perf_counter_ns` (CLOCK_MONOTONIC on Linux, the same in every process of the
machine) and `time.time_ns`, taken right before the bytes are handed to the socket.
"""

from __future__ import annotations

import time
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .answer import Part, Token
from .transmission import Progress, Transmission

_NOTHING = Progress((), (), (), ())


@dataclass(slots=True)
class Entry:
    """One request. Stamps are nanoseconds; `_ns` monotonic, `_unix_ns` wall clock.

    Attributes:
        request_id: as in the response's `x-request-id`.
        number: the request's number, from 0; drawn times and faults follow from it.
        path: path of the request.
        started_ns: when its plan began: at once, or when the server had room for it.
        api: which API, if the path belongs to one.
        model: the requested model.
        received_ns: when the request's headers were there.
        received_unix_ns: the same.
        recording: name of the recording that was played, if any.
        headers_ns: right before the response's headers were sent.
        status: status of the response.
        outcome: `open`, then `complete`, `cut`, `reset`, `silence`, `client_gone` or `error`.
        ended_ns: when that happened.
        faults: names of the faults in the plan.
        due_ns: planned time of each write after `started_ns`, for a stream.
        progress: what each of these writes completes.
        sent_ns: one stamp a write.
        sent_unix_ns: the same.
    """

    request_id: str
    number: int
    path: str
    received_ns: int
    received_unix_ns: int
    started_ns: int
    api: str = ""
    model: str = ""
    recording: str | None = None
    headers_ns: int | None = None
    status: int | None = None
    outcome: str = "open"
    ended_ns: int | None = None
    faults: tuple[str, ...] = ()
    due_ns: tuple[int, ...] = ()
    progress: Progress = _NOTHING
    sent_ns: array[int] = field(default_factory=lambda: array("q"))
    sent_unix_ns: array[int] = field(default_factory=lambda: array("q"))

    def stamp_write(self) -> None:
        """Note that the next write goes out now."""
        self.sent_ns.append(time.perf_counter_ns())
        self.sent_unix_ns.append(time.time_ns())

    def close(self, outcome: str) -> None:
        """Note how it ended; the first word stands."""
        if self.ended_ns is None:
            self.outcome = outcome
            self.ended_ns = time.perf_counter_ns()

    @property
    def planned_ns(self) -> tuple[int, ...]:
        """Planned time of each write that was made."""
        return tuple(self.started_ns + due for due in self.due_ns[: len(self.sent_ns)])

    @property
    def events_sent(self) -> int:
        """How many events were sent to their last byte."""
        writes = len(self.sent_ns)
        return self.progress.events[writes - 1] if writes else 0

    @property
    def tokens_sent(self) -> list[Token]:
        """The content that was sent to its last byte."""
        return [t for t in self.progress.tokens[: self.events_sent] if t is not None]

    @property
    def token_ns(self) -> list[int]:
        """The stamp of each content event: that of the write with its last byte."""
        stamps: list[int] = []
        start = 0
        for sent_ns, end in zip(self.sent_ns, self.progress.events, strict=False):
            stamps.extend([sent_ns] * sum(self.progress.content[start:end]))
            start = end
        return stamps

    @property
    def text(self) -> str:
        """The text that was sent."""
        return self._joined(Part.TEXT)

    @property
    def text_before_fault(self) -> str:
        """The text that was sent before the first event that a fault put there or changed."""
        tokens = self.progress.tokens[: self.events_sent][: self.progress.spoiled]
        return "".join(t.text for t in tokens if t is not None and t.part is Part.TEXT)

    @property
    def reasoning(self) -> str:
        """The reasoning that was sent."""
        return self._joined(Part.REASONING)

    @property
    def tool_arguments(self) -> list[str]:
        """The arguments of each tool call as far as they were sent."""
        calls: dict[int, str] = {}
        for token in self.tokens_sent:
            if token.part is Part.CALL:
                calls[token.call] = calls.get(token.call, "") + token.text
        return [calls[call] for call in sorted(calls)]

    def _joined(self, part: Part) -> str:
        return "".join(token.text for token in self.tokens_sent if token.part is part)

    def summary(self) -> dict[str, Any]:
        """The entry without its stamps, for JSON."""
        return {
            "request_id": self.request_id,
            "number": self.number,
            "path": self.path,
            "api": self.api,
            "model": self.model,
            "recording": self.recording,
            "status": self.status,
            "outcome": self.outcome,
            "faults": list(self.faults),
            "received_ns": self.received_ns,
            "received_unix_ns": self.received_unix_ns,
            "started_ns": self.started_ns,
            "headers_ns": self.headers_ns,
            "ended_ns": self.ended_ns,
            "writes": len(self.sent_ns),
            "events": self.events_sent,
        }

    def to_json(self) -> dict[str, Any]:
        """Everything, for `GET /ledger/{request_id}`; lists run parallel, one entry a write."""
        writes = len(self.sent_ns)
        return self.summary() | {
            "planned_ns": list(self.planned_ns),
            "sent_ns": self.sent_ns.tolist(),
            "sent_unix_ns": self.sent_unix_ns.tolist(),
            "body_bytes": list(self.progress.body_bytes[:writes]),
            "events_after": list(self.progress.events[:writes]),
            "token_ns": self.token_ns,
            "text": self.text,
            "text_before_fault": self.text_before_fault,
            "reasoning": self.reasoning,
            "tool_arguments": self.tool_arguments,
        }


class Ledger:
    """The latest requests by id. Old ones make room beyond `max_requests` or `max_writes`."""

    def __init__(self, max_requests: int = 5_000, max_writes: int = 2_000_000) -> None:
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._max_requests = max_requests
        self._max_writes = max_writes
        self._planned_writes = 0

    def add(self, entry: Entry) -> None:
        """Keep an entry; one with the same id is replaced."""
        self.forget(entry.request_id)
        self._entries[entry.request_id] = entry
        while len(self._entries) > self._max_requests:
            self.forget(next(iter(self._entries)))

    def attach(self, entry: Entry, transmission: Transmission) -> None:
        """Say what an entry is about to send; makes room for its stamps."""
        entry.due_ns = transmission.due_ns
        entry.progress = transmission.layout.progress
        if self._entries.get(entry.request_id) is not entry:
            return
        self._planned_writes += len(transmission.due_ns)
        while self._planned_writes > self._max_writes and len(self._entries) > 1:
            self.forget(next(iter(self._entries)))

    def forget(self, request_id: str) -> None:
        """Drop an entry, if it is there."""
        entry = self._entries.pop(request_id, None)
        if entry is not None:
            self._planned_writes -= len(entry.due_ns)

    def clear(self) -> None:
        """Drop all entries."""
        self._entries.clear()
        self._planned_writes = 0

    def get(self, request_id: str) -> Entry | None:
        """The entry of a request, or None."""
        return self._entries.get(request_id)

    def __getitem__(self, request_id: str) -> Entry:
        return self._entries[request_id]

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def last(self) -> Entry:
        """The latest request; `LookupError` if there was none."""
        if not self._entries:
            raise LookupError("no request has come in yet")
        return next(reversed(self._entries.values()))
