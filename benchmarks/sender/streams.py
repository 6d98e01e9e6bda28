"""Puts answers on sockets at their planned times: one heap and one timer for all streams."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from .answers import Answer
from .timer import FineTimer

_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    b"x-request-id: %b\r\n\r\n"
)
_FULL_BYTES = 256 * 1024
_KEPT = 4096


@dataclass(slots=True)
class Sent:
    """Stamps of one response: `time.perf_counter_ns` before the write of each content event.

    Attributes:
        token_ns: when.
        due_ns: when it was planned.
    """

    token_ns: list[int] = field(default_factory=list)
    due_ns: list[int] = field(default_factory=list)


class Stream:
    """One response under way.

    Attributes:
        due_ns: when the next write is due; -1 after the last.
    """

    __slots__ = ("_answer", "_head", "_position", "_sent", "_start_ns", "_transport", "due_ns")

    def __init__(
        self, transport: asyncio.Transport, answer: Answer, request_id: bytes, sent: Sent
    ) -> None:
        self._transport = transport
        self._answer = answer
        self._head = _HEAD % request_id
        self._sent = sent
        self._position = 0
        self._start_ns = time.perf_counter_ns()
        self.due_ns = self._start_ns + answer.due_ns[0]

    @property
    def ready(self) -> bool:
        """Whether the socket takes more."""
        return self._transport.get_write_buffer_size() < _FULL_BYTES

    def open(self) -> None:
        """Send the head alone, unless the first write is due with it."""
        if self._answer.due_ns[0]:
            self._transport.write(self._head)
            self._head = b""

    def write(self) -> None:
        """Send the next write."""
        if self._transport.is_closing():
            self.due_ns = -1
            return
        at, answer, sent = self._position, self._answer, self._sent
        now_ns = time.perf_counter_ns()
        for _ in range(answer.tokens[at]):
            sent.token_ns.append(now_ns)
            sent.due_ns.append(self.due_ns)
        data = answer.writes[at]
        self._transport.write(self._head + data if self._head else data)
        self._head = b""
        self._position = at = at + 1
        self.due_ns = self._start_ns + answer.due_ns[at] if at < len(answer.writes) else -1


class Schedule:
    """All streams of one server, by the time of their next write."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Stream]] = []
        self._number = 0
        self._timer = FineTimer(self._fire)
        self._timer_ns = 0
        self.sent: OrderedDict[str, Sent] = OrderedDict()

    def start(self, transport: asyncio.Transport, answer: Answer, request_id: str) -> None:
        """Begin a response."""
        sent = self.sent[request_id] = Sent()
        while len(self.sent) > _KEPT:
            self.sent.popitem(last=False)
        stream = Stream(transport, answer, request_id.encode(), sent)
        stream.open()
        self._push(stream, stream.due_ns)
        self._step()

    def _push(self, stream: Stream, due_ns: int) -> None:
        self._number += 1
        heapq.heappush(self._heap, (due_ns, self._number, stream))

    def _step(self) -> None:
        """Send everything that is due, then wait for the next."""
        heap = self._heap
        end_ns = time.perf_counter_ns()
        while heap and heap[0][0] <= end_ns:
            _, number, stream = heap[0]
            if not stream.ready:
                heapq.heapreplace(heap, (end_ns + 1_000_000, number, stream))
                continue
            stream.write()
            if stream.due_ns >= 0:
                heapq.heapreplace(heap, (stream.due_ns, number, stream))
            else:
                heapq.heappop(heap)
        if heap:
            self._wait_until(heap[0][0])

    def _wait_until(self, due_ns: int) -> None:
        if due_ns != self._timer_ns:
            self._timer_ns = due_ns
            self._timer.set(due_ns)

    def _fire(self) -> None:
        self._timer_ns = 0
        self._step()
