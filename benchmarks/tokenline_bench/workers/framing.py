"""Messages over a pipe: four bytes of length, then msgpack."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

_ENCODE = msgspec.msgpack.Encoder().encode


def frame(message: msgspec.Struct) -> bytes:
    """A message as it is on the pipe."""
    body = _ENCODE(message)
    return len(body).to_bytes(4, "little") + body


async def read_frame(reader: asyncio.StreamReader, decoder: msgspec.msgpack.Decoder[Any]) -> Any:
    """The next message; None at the end of the pipe."""
    try:
        size = int.from_bytes(await reader.readexactly(4), "little")
        return decoder.decode(await reader.readexactly(size))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
