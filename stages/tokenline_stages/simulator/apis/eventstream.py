"""AWS event-stream frames (`application/vnd.amazon.eventstream`).

Form: prelude (total length, headers length, CRC-32 of both), headers, payload, CRC-32 of all
before it; big-endian. https://smithy.io/2.0/aws/amazon-eventstream.html (read November 2026).
"""

import base64
import struct
from collections.abc import Mapping
from typing import Any
from zlib import crc32

from .api import Framing
from .encoding import encode_json

_STRING = 7


def encode_frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One frame with string headers."""
    packed = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    total = 12 + len(packed) + len(payload) + 4
    prelude = struct.pack(">II", total, len(packed))
    frame = prelude + struct.pack(">I", crc32(prelude)) + packed + payload
    return frame + struct.pack(">I", crc32(frame))


def _header(name: bytes, value: bytes) -> bytes:
    return struct.pack(">B", len(name)) + name + struct.pack(">BH", _STRING, len(value)) + value


def event_frame(event_type: str, body: Mapping[str, Any], ascii_json: bool = False) -> bytes:
    """An event with a JSON body."""
    headers = {
        ":event-type": event_type,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return encode_frame(headers, encode_json(body, ascii_json))


def chunk_frame(data: bytes) -> bytes:
    """A `chunk` event: the model's own JSON, in base64."""
    return event_frame("chunk", {"bytes": base64.b64encode(data).decode()})


def exception_frame(exception_type: str, message: str) -> bytes:
    """A modeled exception inside the stream."""
    headers = {
        ":exception-type": exception_type,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return encode_frame(headers, encode_json({"message": message}))


def _malform(frame: bytes) -> bytes:
    # A flipped bit in the payload: lengths hold, the checksum does not.
    place = max(0, len(frame) - 6)
    return frame[:place] + bytes([frame[place] ^ 1]) + frame[place + 1 :]


def _oversize(size_bytes: int) -> bytes:
    return event_frame("tokenlinePadding", {"padding": "x" * size_bytes})


def eventstream_framing() -> Framing:
    """Binary frames; there is no ping."""
    return Framing("application/vnd.amazon.eventstream", b"", _malform, _oversize)
