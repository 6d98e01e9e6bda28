"""Server-sent events, sans-IO: bytes in, `(event name, data)` pairs out.

Source: WHATWG HTML, section 9.2.6 "Interpreting an event stream". Two departures, both because
of servers as they are: an event whose blank line the end of the response cuts off is given all
the same, and so are lines outside of any event that report an error (see `STRAY`).

Two paths lead to the same events. What one read brought usually is whole events of the forms
`data: ...` and `event: ...` + `data: ...`; those are cut apart by a few calls on the whole read.
Everything else goes line by line.
"""

from typing import Final

from tokenline.errors import LimitExceededError
from tokenline.options import Limits

from .sse_batch import COMMENT as COMMENT
from .sse_batch import CR, LF, read_name, skip_events, split_events

STRAY: Final = "\n"
"""Stands for the event name of a line that the format ignores and that may report an error.

No event can be so named. The data is the value of a field `error` (llama.cpp servers of 2025) or
a whole line that begins with `{` (proxies that pass on a JSON error body as it is).
"""

_BOM = b"\xef\xbb\xbf"
_COMMON_STARTS = (b"data: ", b"event: ")


class SseDecoder:
    """Decodes one event stream.

    Time is linear in the bytes however they are cut. What is kept between reads stays below the
    limits plus one read.

    Attributes:
        found: the events of the last `feed` or `finish`, also if it raised.
    """

    __slots__ = (
        "_after_cr",
        "_clean",
        "_consumed",
        "_data",
        "_fresh",
        "_max_event",
        "_max_line",
        "_name",
        "_names",
        "_runs",
        "_short",
        "_start",
        "_tail",
        "_whole",
        "found",
    )

    def __init__(self, limits: Limits) -> None:
        self._max_line = limits.max_line_bytes
        self._max_event = limits.max_event_bytes
        self._short = min(self._max_line, self._max_event)
        self._names: dict[bytes, str] = {}
        self.found: list[tuple[str, bytes]] = []
        # The event and line in progress; clean = there is none.
        self._fresh = True
        self._clean = False
        self._after_cr = False
        self._tail = bytearray()
        self._name = ""
        self._data: bytes | bytearray | None = None
        # Offsets: bytes taken so far, and where the event in progress begins. Of the last `feed`:
        # the read, if the fast path took it whole; else (index in `found`, offset, bytes from
        # there that the fast path took) in order.
        self._consumed = 0
        self._start = 0
        self._whole: bytes | None = None
        self._runs: list[tuple[int, int, bytes]] = []

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        """The events that `data` completes, as `(name or "", data)`; comments as `(":", text)`.

        Raises:
            LimitExceededError: a line is longer than `max_line_bytes`, or the data of an event
                than `max_event_bytes`. `found` has the events before; feed no more after it.
        """
        size = len(data)
        if self._clean and size <= self._short:
            events: list[tuple[str, bytes]] | None
            # One event in one read, without a name: how tokens arrive from most servers.
            if data.find(LF) == size - 2 and data.startswith(b"data: ") and data[-1] == LF:
                events = [("", data[6:-2])] if CR not in data else None
            else:
                events = split_events(data, self._names)
            if events is not None:
                self.found = events
                self._whole = data
                self._consumed += size
                return events
        return self._feed_slowly(data)

    def finish(self) -> list[tuple[str, bytes]]:
        """The input is over: the event that lacks only its end, if there is one."""
        self._open_batch()
        self._fresh = False
        if self._tail:
            self._take_line(self._take_tail())
        self._dispatch()
        return self.found

    def offset_of(self, index: int) -> int:
        """Offset in the body of the event that `found[index]` is from."""
        if self._whole is not None:
            return self._consumed - len(self._whole) + skip_events(self._whole, index)
        first, offset, whole = next(run for run in reversed(self._runs) if run[0] <= index)
        return offset + skip_events(whole, index - first)

    def _open_batch(self) -> None:
        if self._whole is not None:
            self._whole = None
            self._start = self._consumed
        self.found = []
        self._runs = []

    def _feed_slowly(self, data: bytes) -> list[tuple[str, bytes]]:
        self._open_batch()
        if self._fresh:
            data = self._strip_bom(data)
        if not self._is_clean():
            end = _first_end(data)
            self._take_lines(data[:end])
            data = data[end:]
        if data.startswith(_COMMON_STARTS) and self._is_clean() and len(data) <= self._short:
            data = data[self._take_events(data[: _last_end(data)]) :]
        self._take_lines(data)
        self._clean = self._is_clean()
        return self.found

    def _is_clean(self) -> bool:
        return self._start == self._consumed and not (self._after_cr or self._fresh)

    def _strip_bom(self, data: bytes) -> bytes:
        data = self._take_tail() + data
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._tail += data
            return b""
        self._fresh = False
        if not data.startswith(_BOM):
            return data
        self._consumed = self._start = len(_BOM)
        return data[len(_BOM) :]

    def _take_tail(self) -> bytes:
        tail = bytes(self._tail)
        self._tail.clear()
        return tail

    def _take_events(self, whole: bytes) -> int:
        """Take the fast path if it fits; give the number of bytes taken."""
        events = split_events(whole, self._names)
        if events is None:
            return 0
        self._runs.append((len(self.found), self._consumed, whole))
        self.found += events
        self._consumed += len(whole)
        self._start = self._consumed
        return len(whole)

    def _take_lines(self, data: bytes) -> None:
        if self._after_cr and data:
            data = self._skip_lf(data)
        if not data:
            return
        # For bytes, unlike str, `splitlines` knows CR, LF and CRLF only: exactly those of SSE.
        lines = data.splitlines(keepends=True)
        rest = b"" if data[-1] in b"\r\n" else lines.pop()
        self._after_cr = data[-1] == CR
        for line in lines:
            self._consumed += len(line)
            line = line.rstrip(b"\r\n")
            if self._tail:
                self._tail += line
                line = self._take_tail()
            self._take_line(line)
        if rest:
            self._consumed += len(rest)
            self._tail += rest
            self._check_size(self._tail)

    def _skip_lf(self, data: bytes) -> bytes:
        self._after_cr = False
        if data[0] != LF:
            return data
        if self._start == self._consumed:
            self._start += 1
        self._consumed += 1
        return data[1:]

    def _take_line(self, line: bytes) -> None:
        if not line:
            self._dispatch()
            return
        if len(line) > self._short or self._data is not None:
            self._check_size(line)
        field, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if field == b"data":
            self._add_data(value)
        elif field == b"event":
            self._name = read_name(value)
        elif not field:
            self._give(COMMENT, value)
        elif field == b"error":
            self._give(STRAY, value)
        elif line[:1] == b"{":
            self._give(STRAY, line)

    def _add_data(self, value: bytes) -> None:
        if self._data is None:
            self._data = value
            return
        if isinstance(self._data, bytes):
            self._data = bytearray(self._data)
        self._data += b"\n"
        self._data += value
        if len(self._data) > self._max_event:
            self._refuse_event()

    def _dispatch(self) -> None:
        if self._data is not None:
            self._give(self._name, bytes(self._data))
            self._data = None
        self._name = ""
        self._start = self._consumed

    def _give(self, name: str, data: bytes) -> None:
        self._runs.append((len(self.found), self._start, b""))
        self.found.append((name, data))

    def _check_size(self, line: bytes | bytearray) -> None:
        """Raise for whichever limit the line, complete or not yet, passes first."""
        size = len(line)
        held = 0 if self._data is None else len(self._data) + 1
        if size <= self._max_line and size + held <= self._max_event:
            return
        if line.startswith(b"data:"):
            room = self._max_event - held
            fits = 5 + room + (room >= 0 and line[5:6] == b" ")
            if size > fits < self._max_line:
                self._refuse_event()
        if size > self._max_line:
            raise LimitExceededError(
                f"a line of the stream is longer than {self._max_line} bytes (event at byte"
                f" {self._start}); raise Limits.max_line_bytes if this is no fault",
                limit="max_line_bytes",
            )

    def _refuse_event(self) -> None:
        raise LimitExceededError(
            f"an event has more than {self._max_event} bytes of data (event at byte"
            f" {self._start}); raise Limits.max_event_bytes if this is no fault",
            limit="max_event_bytes",
        )


def _first_end(data: bytes) -> int:
    """Where an event near the start of `data` ends; all of `data` if none is seen to end."""
    blank = _blank_in(data)
    start = data.find(blank)
    return len(data) if start < 0 else start + len(blank)


def _last_end(data: bytes) -> int:
    """Where the last event that ends in `data` ends; 0 if none is seen to end."""
    blank = _blank_in(data)
    start = data.rfind(blank)
    return 0 if start < 0 else start + len(blank)


def _blank_in(data: bytes) -> bytes:
    return b"\r\n\r\n" if CR in data else b"\n\n"
