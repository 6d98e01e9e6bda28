"""Takes HTTP/1.1 responses apart with llhttp (RFC 9112); knows no socket."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from enum import Enum, auto

import httptools

from .inflate import CODINGS

MAX_HEAD_BYTES = 64 * 1024
"""Most bytes of a response's head, interim responses included; also of what frames a body."""

_NO_BODY = (204, 304)
_TIMEOUT = re.compile(r"timeout=(\d{1,6})")


class Progress(Enum):
    """How far a response has come."""

    NONE = auto()
    """None is expected."""
    HEAD = auto()
    BODY = auto()
    COMPLETE = auto()


class MalformedResponseError(Exception):
    """The answer is not HTTP/1.1, or uses a coding that was not asked for."""


class HeadTooLargeError(MalformedResponseError):
    """The response's head is larger than `MAX_HEAD_BYTES`."""


class ResponseParser:
    """The state of the response that comes in on a connection, one after the other.

    `feed` takes bytes (or a view of them) and raises `httptools.HttpParserError`; everything
    before the error has been taken in by then. `failure` then tells what is wrong.

    Attributes:
        progress: how far the response has come.
        status: its status, once its head is there.
        headers: names in lower case; several of one name joined by `, `.
        coding: content coding of the body, `""` for none.
        parts: body bytes that nobody took yet.
        body_bytes: how many were taken.
        until_close: the body ends with the connection.
        reusable: the connection may carry another request; known when complete.
    """

    __slots__ = (
        "_body_bytes_seen",
        "_excess_from",
        "_failure",
        "_frame_bytes",
        "_head_bytes",
        "_parser",
        "body_bytes",
        "coding",
        "feed",
        "headers",
        "on_body",
        "parts",
        "progress",
        "reusable",
        "status",
        "until_close",
    )

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.on_body = self.parts.append
        self.progress = Progress.NONE
        self.status = 0
        self.headers: dict[str, str] = {}
        self.coding = ""
        self.until_close = False
        self.reusable = False
        self.body_bytes = 0
        self._body_bytes_seen = 0
        self._frame_bytes = 0
        self._head_bytes = 0
        self._excess_from = sys.maxsize
        self._failure: MalformedResponseError | None = None
        self._parser = httptools.HttpResponseParser(self)
        # Like other clients: servers that end lines with a bare LF are read, not refused.
        self._parser.set_dangerous_leniencies(
            lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self.feed: Callable[[bytes | memoryview], None] = self._parser.feed_data

    def expect(self) -> None:
        """A request was sent: what comes in now is its response."""
        self.progress = Progress.HEAD
        self.headers = {}
        self.coding = ""
        self.until_close = self.reusable = False
        self.body_bytes = self._body_bytes_seen = 0
        self._frame_bytes = self._head_bytes = 0
        self._excess_from = sys.maxsize

    def rest(self) -> float | None:
        """Nothing is expected; gives the seconds of a `keep-alive: timeout=...` header."""
        self.progress = Progress.NONE
        found = _TIMEOUT.search(self.headers.get("keep-alive", ""))
        return float(found[1]) if found is not None else None

    def take_body(self) -> bytes:
        """The body bytes that came since the last time, joined."""
        parts = self.parts
        if len(parts) == 1:
            data = parts.pop()
        else:
            del parts[self._excess_from :]
            data = b"".join(parts)
            parts.clear()
        self.body_bytes += len(data)
        return data

    def find_failure(
        self, error: Exception | None, fed_bytes: int
    ) -> MalformedResponseError | None:
        """What is wrong after `fed_bytes` gave no body, or `feed` raised `error`."""
        if self._failure is not None:
            return self._failure
        if error is not None:
            return MalformedResponseError(f"not HTTP/1.1: {str(error) or 'malformed'}")
        if self.body_bytes != self._body_bytes_seen:
            self._body_bytes_seen = self.body_bytes
            self._frame_bytes = 0
        self._frame_bytes += fed_bytes
        if self._frame_bytes <= MAX_HEAD_BYTES:
            return None
        return _too_large("head" if self.progress is Progress.HEAD else "chunk framing")

    def close(self) -> None:
        """Nothing more will come; lets go of llhttp's parser, which refers to this object."""
        del self._parser
        self.feed = _ignore

    # --- callbacks of llhttp ---------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A response begins; unless one is expected, it is excess."""
        if self.progress is not Progress.HEAD:
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer (these are dropped)."""
        if self.progress is not Progress.HEAD:
            return
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > MAX_HEAD_BYTES:
            self._failure = _too_large("head")
            raise self._failure
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1").strip()
        known = self.headers.get(key)
        self.headers[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        """The head is there, or that of an interim response (1xx), which is dropped."""
        if self.progress is not Progress.HEAD:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self.headers = {}
            return
        self._failure = self._find_fault(status)
        if self._failure is not None:
            raise self._failure
        self.status = status
        framed = "transfer-encoding" in self.headers or "content-length" in self.headers
        self.until_close = not framed and status not in _NO_BODY
        self.progress = Progress.BODY

    def on_message_complete(self) -> None:
        """The body is over."""
        if self.progress is Progress.BODY:
            self.progress = Progress.COMPLETE
            self._excess_from = len(self.parts)
            self.reusable = self._parser.should_keep_alive()

    # --- inside ----------------------------------------------------------------------------

    def _find_fault(self, status: int) -> MalformedResponseError | None:
        if status == 101:
            return MalformedResponseError("the server wants another protocol (HTTP 101)")
        transfer = self.headers.get("transfer-encoding", "chunked").strip().lower()
        if transfer != "chunked":
            return MalformedResponseError(f"unknown transfer coding {transfer[:40]!r}")
        coding = self.headers.get("content-encoding", "").strip().lower()
        if coding in ("", "identity"):
            return None
        if coding not in CODINGS:
            return MalformedResponseError(
                f"content coding {coding[:40]!r}, which was not asked for"
            )
        self.coding = coding
        return None


def _too_large(what: str) -> HeadTooLargeError:
    return HeadTooLargeError(f"its {what} is larger than {MAX_HEAD_BYTES} bytes")


def _ignore(data: bytes | memoryview) -> None:
    return
