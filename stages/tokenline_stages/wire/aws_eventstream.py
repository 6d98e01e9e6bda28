"""AWS event streams (`application/vnd.amazon.eventstream`), sans-IO: bytes in, frames out.

Source: "Event stream encoding" in the Amazon Lex V2 and Amazon Transcribe developer guides, and
the Smithy specification of the format. All numbers are big-endian; a frame is

    total length (4) | headers length (4) | CRC32 of these 8 bytes (4)
    headers | payload | CRC32 of everything before (4)

and a header is name length (1) | name | value type (1) | value.
"""

import struct
from collections.abc import Mapping
from uuid import UUID
from zlib import crc32

import msgspec

from tokenline.errors import LimitExceededError, MalformedStreamError, StreamCutError
from tokenline.options import KIB, Limits


class Timestamp(int):
    """A header value: milliseconds since 1970-01-01, UTC."""


HeaderValue = bool | int | str | bytes | Timestamp | UUID
"""What a header can hold. The four sizes of integer are all `int`."""


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One message of the stream."""

    headers: dict[str, HeaderValue]
    payload: bytes


_PRELUDE = struct.Struct(">III")
_LENGTHS = struct.Struct(">II")
_CRC = struct.Struct(">I")
_SHORT = struct.Struct(">H")
_OVERHEAD_BYTES = _PRELUDE.size + _CRC.size
_MAX_HEADERS_BYTES = 128 * KIB

# Value types by number; those missing here are 0 (true), 1 (false), 6 (bytes) and 7 (string).
_BYTES_TYPE, _STRING_TYPE, _TIMESTAMP_TYPE, _UUID_TYPE = 6, 7, 8, 9
_INT32_TYPE, _INT64_TYPE = 4, 5
_INTEGERS = {
    2: struct.Struct(">b"),
    3: struct.Struct(">h"),
    _INT32_TYPE: struct.Struct(">i"),
    _INT64_TYPE: struct.Struct(">q"),
    _TIMESTAMP_TYPE: struct.Struct(">q"),
}

# The frames of a response repeat a few header blocks byte for byte.
_MAX_KNOWN_BLOCKS = 32
_MAX_KNOWN_BLOCK_BYTES = 512


class EventStreamDecoder:
    """Decodes one event stream.

    Time is linear in the bytes however they are cut. What is kept between reads stays below the
    limit plus one read.

    Attributes:
        found: the frames of the last `feed`, also if it raised.
    """

    __slots__ = ("_buffer", "_consumed", "_known_blocks", "_max_frame", "_need", "_starts", "found")

    def __init__(self, limits: Limits) -> None:
        self._max_frame = limits.max_event_bytes
        self._buffer = bytearray()
        self._need = _PRELUDE.size
        self._consumed = 0
        self._known_blocks: dict[bytes, dict[str, HeaderValue]] = {}
        self._starts: list[int] = []
        self.found: list[Frame] = []

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes.

        Raises:
            MalformedStreamError: a wrong CRC, length or header; `offset` is that of the frame.
            LimitExceededError: a frame is larger than `max_event_bytes`.
                After either, `found` has the frames before; feed no more.
        """
        self.found = []
        self._starts = []
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._need:
                return self.found
            data = bytes(self._buffer)
            self._buffer.clear()
        self._buffer += data[self._take_frames(data) :]
        return self.found

    def finish(self) -> list[Frame]:
        """The input is over.

        Raises:
            StreamCutError: it ended inside a frame.
        """
        self.found = []
        if self._buffer:
            raise StreamCutError(
                f"the stream ended inside a frame: {len(self._buffer)} of at least {self._need}"
                f" bytes arrived (frame at byte {self._consumed})"
            )
        return self.found

    def offset_of(self, index: int) -> int:
        """Offset in the body of the frame `found[index]`."""
        return self._starts[index]

    def _take_frames(self, data: bytes) -> int:
        """Read the complete frames at the start of `data`; give the number of bytes read."""
        start = 0
        self._need = _PRELUDE.size
        while len(data) - start >= _PRELUDE.size:
            size, headers_size = self._read_prelude(data, start)
            if len(data) - start < size:
                self._need = size
                break
            self.found.append(self._read_frame(data, start, start + size, headers_size))
            self._starts.append(self._consumed)
            self._consumed += size
            start += size
        return start

    def _read_prelude(self, data: bytes, start: int) -> tuple[int, int]:
        size, headers_size, crc = _PRELUDE.unpack_from(data, start)
        if crc32(data[start : start + _LENGTHS.size]) != crc:
            raise self._malformed("the CRC of its lengths is wrong")
        if headers_size > _MAX_HEADERS_BYTES or size < headers_size + _OVERHEAD_BYTES:
            raise self._malformed(f"its lengths are impossible ({size}, headers {headers_size})")
        if size > self._max_frame:
            raise LimitExceededError(
                f"a frame has {size} bytes, more than {self._max_frame} (frame at byte"
                f" {self._consumed}); raise Limits.max_event_bytes if this is no fault",
                limit="max_event_bytes",
            )
        return size, headers_size

    def _read_frame(self, data: bytes, start: int, end: int, headers_size: int) -> Frame:
        payload_end = end - _CRC.size
        if crc32(memoryview(data)[start:payload_end]) != _CRC.unpack_from(data, payload_end)[0]:
            raise self._malformed("the CRC of the frame is wrong")
        headers_start = start + _PRELUDE.size
        headers_end = headers_start + headers_size
        return Frame(
            self._read_headers(data[headers_start:headers_end]), data[headers_end:payload_end]
        )

    def _read_headers(self, block: bytes) -> dict[str, HeaderValue]:
        known = self._known_blocks.get(block)
        if known is None:
            try:
                known = _read_headers(block)
            except (IndexError, KeyError, struct.error, ValueError) as error:
                raise self._malformed(f"a header is broken ({error})") from error
            if len(self._known_blocks) < _MAX_KNOWN_BLOCKS and len(block) <= _MAX_KNOWN_BLOCK_BYTES:
                self._known_blocks[block] = known
        return known.copy()

    def _malformed(self, what: str) -> MalformedStreamError:
        return MalformedStreamError(
            f"frame at byte {self._consumed} of the event stream: {what}", offset=self._consumed
        )


def _read_headers(block: bytes) -> dict[str, HeaderValue]:
    headers: dict[str, HeaderValue] = {}
    at = 0
    while at < len(block):
        name_end = at + 1 + block[at]
        name = block[at + 1 : name_end].decode()
        value, at = _read_value(block, block[name_end], name_end + 1)
        if at > len(block):
            raise ValueError(f"{name!r} is longer than the headers")
        if name in headers:
            raise ValueError(f"{name!r} appears twice")
        headers[name] = value
    return headers


def _read_value(block: bytes, type_: int, start: int) -> tuple[HeaderValue, int]:
    """A header value and where it ends."""
    if type_ <= 1:
        return type_ == 0, start
    if type_ in _INTEGERS:
        form = _INTEGERS[type_]
        number: int = form.unpack_from(block, start)[0]
        return Timestamp(number) if type_ == _TIMESTAMP_TYPE else number, start + form.size
    if type_ == _UUID_TYPE:
        return UUID(bytes=block[start : start + 16]), start + 16
    if type_ not in (_BYTES_TYPE, _STRING_TYPE):
        raise ValueError(f"value type {type_} is unknown")
    data_start = start + _SHORT.size
    end = data_start + _SHORT.unpack_from(block, start)[0]
    data = block[data_start:end]
    return data.decode() if type_ == _STRING_TYPE else data, end


def encode_frame(headers: Mapping[str, HeaderValue], payload: bytes) -> bytes:
    """One frame as bytes; what `EventStreamDecoder` reads.

    An `int` is written in four bytes if it fits, else in eight.

    Raises:
        ValueError: a name or value that the format cannot hold.
    """
    block = b"".join(_write_header(name, value) for name, value in headers.items())
    if len(block) > _MAX_HEADERS_BYTES:
        raise ValueError(f"headers of {len(block)} bytes; {_MAX_HEADERS_BYTES} are allowed")
    lengths = _LENGTHS.pack(_OVERHEAD_BYTES + len(block) + len(payload), len(block))
    checked = lengths + _CRC.pack(crc32(lengths)) + block + payload
    return checked + _CRC.pack(crc32(checked))


def _write_header(name: str, value: HeaderValue) -> bytes:
    raw = name.encode()
    try:
        return bytes((len(raw),)) + raw + _write_value(value)
    except (struct.error, ValueError) as error:
        raise ValueError(f"header {name[:80]!r} does not fit the format: {error}") from error


def _write_value(value: HeaderValue) -> bytes:
    if isinstance(value, bool):
        return b"\x00" if value else b"\x01"
    if isinstance(value, int):
        return _write_integer(value)
    if isinstance(value, UUID):
        return bytes((_UUID_TYPE,)) + value.bytes
    data, type_ = (
        (value, _BYTES_TYPE) if isinstance(value, bytes) else (value.encode(), _STRING_TYPE)
    )
    return bytes((type_,)) + _SHORT.pack(len(data)) + data


def _write_integer(value: int) -> bytes:
    if isinstance(value, Timestamp):
        type_ = _TIMESTAMP_TYPE
    else:
        type_ = _INT32_TYPE if -(2**31) <= value < 2**31 else _INT64_TYPE
    return bytes((type_,)) + _INTEGERS[type_].pack(value)
