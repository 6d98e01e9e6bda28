"""JSON and framings shared by the APIs: SSE (WHATWG HTML 9.2) and newline-delimited JSON."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from .api import Framing


def encode_json(value: Mapping[str, Any], ascii_json: bool = False) -> bytes:
    """Compact JSON in UTF-8; `ascii_json` escapes the rest as surrogate pairs."""
    if ascii_json:
        return json.dumps(value, separators=(",", ":")).encode()
    return msgspec.json.encode(value)


def parse_arguments(arguments: str) -> Any:
    """Tool arguments as the JSON value that APIs without argument text send."""
    return json.loads(arguments) if arguments else {}


def sse(data: bytes, event: str | None = None) -> bytes:
    """One server-sent event."""
    if event is None:
        return b"data: %b\n\n" % data
    return b"event: %b\ndata: %b\n\n" % (event.encode(), data)


def _malform_sse(event: bytes) -> bytes:
    body = event.rstrip(b"\n")
    head, found, data = body.rpartition(b"data: ")
    kept = data[: max(1, len(data) * 2 // 3)]
    return head + found + kept.rstrip(b"\n") + b"\n\n"


def _oversize_sse(size_bytes: int) -> bytes:
    return sse(_padding(size_bytes))


def _padding(size_bytes: int) -> bytes:
    return b'{"type":"tokenline.padding","padding":"%b"}' % (b"x" * size_bytes)


def sse_framing(ping: bytes = b": keep-alive\n\n", content_type: str = "") -> Framing:
    """Server-sent events; `ping` defaults to a comment."""
    return Framing(
        content_type or "text/event-stream; charset=utf-8", ping, _malform_sse, _oversize_sse
    )


def _malform_line(line: bytes) -> bytes:
    body = line.rstrip(b"\n")
    return body[: max(1, len(body) * 2 // 3)] + b"\n"


def ndjson_framing() -> Framing:
    """One JSON value a line."""
    return Framing("application/x-ndjson", b"", _malform_line, lambda size: _padding(size) + b"\n")


def json_array_framing() -> Framing:
    """One JSON array, an element at a time."""
    return Framing(
        "application/json; charset=UTF-8",
        b"",
        _malform_line,
        lambda size: b"," + _padding(size) + b"\r\n",
    )
