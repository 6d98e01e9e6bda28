"""Compressed bodies, decoded as they come and never more than a piece at a time."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zlib import _Decompress

PIECE_BYTES = 256 * 1024
"""Most that one `take` gives: a small input may hold a thousand times its size."""

CODINGS = frozenset({"gzip", "x-gzip", "deflate"})

_GZIP = 16 + zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS


def inflate(data: bytes, coding: str) -> bytes:
    """The beginning of a compressed body, at most `PIECE_BYTES`, as far as it is undamaged.

    What has no coding, or one not known here, stays as it is.
    """
    if coding not in CODINGS:
        return data
    inflater = Inflater(coding)
    inflater.feed(data)
    try:
        return inflater.take()
    except zlib.error:
        return b""


class Inflater:
    """Decodes `gzip` and `deflate` (RFC 9110, section 8.4.1); `deflate` also without its header.

    Args:
        coding: value of the `content-encoding` header, one of `CODINGS`.
    """

    __slots__ = ("_begun", "_engine", "_full", "_input", "_is_gzip")

    def __init__(self, coding: str) -> None:
        self._is_gzip = coding != "deflate"
        self._engine: _Decompress | None = None
        self._input = b""
        self._full = False
        self._begun = False

    @property
    def complete(self) -> bool:
        """Whether the compressed data came to its end, or never began."""
        return not self._begun or (self._engine is not None and self._engine.eof)

    @property
    def waiting(self) -> bool:
        """Whether `take` may give more without further input."""
        return self._full or bool(self._input)

    def feed(self, data: bytes) -> None:
        """Add compressed bytes."""
        self._begun = True
        self._input = self._input + data if self._input else data

    def take(self) -> bytes:
        """The next decoded bytes, at most `PIECE_BYTES`; `b""` when more input is needed.

        Raises:
            zlib.error: the data is damaged.
        """
        while True:
            engine = self._ready_engine()
            if engine is None:
                self._full = False
                return b""
            data = engine.decompress(self._input, PIECE_BYTES)
            self._input = engine.unused_data if engine.eof else engine.unconsumed_tail
            if data or not self._input:
                self._full = len(data) == PIECE_BYTES
                return data

    def _ready_engine(self) -> _Decompress | None:
        if self._engine is None:
            self._engine = self._first_engine()
        elif self._engine.eof:
            # Gzip data may be several members; anything else after the end is padding.
            if not (self._is_gzip and self._input.startswith(b"\x1f")):
                self._input = b""
                return None
            self._engine = zlib.decompressobj(_GZIP)
        return self._engine

    def _first_engine(self) -> _Decompress | None:
        if self._is_gzip:
            return zlib.decompressobj(_GZIP)
        if len(self._input) < 2:
            return None
        first, second = self._input[:2]
        # Some servers leave out the two bytes of zlib's header.
        has_header = first & 0x0F == 8 and (first * 256 + second) % 31 == 0
        return zlib.decompressobj(zlib.MAX_WBITS if has_header else _RAW)
