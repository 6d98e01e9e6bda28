"""Newline-delimited JSON, sans-IO: bytes in, one JSON text for each line out.

Source: the NDJSON specification (github.com/ndjson/ndjson-spec), sections 2 and 3: lines end in
LF or CRLF, blank lines may be skipped. A last line without its LF counts.
"""

from tokenline.errors import LimitExceededError
from tokenline.options import Limits


class NdjsonDecoder:
    """Decodes one stream of lines.

    Time is linear in the bytes however they are cut. What is kept between reads stays below the
    limit plus one read.

    Attributes:
        found: the lines of the last `feed` or `finish`, also if it raised.
    """

    __slots__ = ("_consumed", "_limit", "_limit_name", "_starts", "_tail", "found")

    def __init__(self, limits: Limits) -> None:
        # A line is an event: the smaller limit is the one that counts.
        line, event = limits.max_line_bytes, limits.max_event_bytes
        self._limit = min(line, event)
        self._limit_name = "max_line_bytes" if line <= event else "max_event_bytes"
        self._tail = bytearray()
        self._consumed = 0
        self._starts: list[int] = []
        self.found: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without white space at both ends and blank lines.

        Raises:
            LimitExceededError: a line is longer than `max_line_bytes` or `max_event_bytes`.
                `found` has the lines before; feed no more after it.
        """
        self.found = []
        self._starts = []
        lines = data.split(b"\n")
        rest = lines.pop()
        for line in lines:
            if self._tail:
                self._tail += line
                line = self._take_tail()
            self._take_line(line, 1)
        self._tail += rest
        self._check_size(len(self._tail))
        return self.found

    def finish(self) -> list[bytes]:
        """The input is over: the last line, if it lacks only its end."""
        self.found = []
        self._starts = []
        self._take_line(self._take_tail(), 0)
        return self.found

    def offset_of(self, index: int) -> int:
        """Offset in the body of the line that `found[index]` is."""
        return self._starts[index]

    def _take_tail(self) -> bytes:
        tail = bytes(self._tail)
        self._tail.clear()
        return tail

    def _take_line(self, line: bytes, end_size: int) -> None:
        self._check_size(len(line))
        text = line.strip()
        if text:
            self._starts.append(self._consumed)
            self.found.append(text)
        self._consumed += len(line) + end_size

    def _check_size(self, size: int) -> None:
        if size > self._limit:
            raise LimitExceededError(
                f"a line of the stream is longer than {self._limit} bytes (line at byte"
                f" {self._consumed}); raise Limits.{self._limit_name} if this is no fault",
                limit=self._limit_name,
            )
