"""Events as bytes, and the writes they are sent in."""

from dataclasses import dataclass
from enum import Enum, auto

from .answer import Token

PLACEHOLDER = "tokenline-simulated-reply"
"""Stands for the message id in what is rendered once and sent often; ids are as long."""


class When(Enum):
    """What an event's send time follows from."""

    AT_ONCE = auto()
    """Right after the headers."""
    NEXT = auto()
    """With the content event after it."""
    TOKEN = auto()
    """A content event: the next planned time."""
    AFTER = auto()
    """With the event before it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One event of the stream as it is on the wire.

    Attributes:
        data: its bytes.
        when: what its send time follows from.
        token: the content it carries.
        spoiled: whether a fault put it there or changed it.
    """

    data: bytes
    when: When
    token: Token | None = None
    spoiled: bool = False


@dataclass(frozen=True, slots=True)
class Timed:
    """A frame and its send time, nanoseconds after the request's arrival."""

    due_ns: int
    frame: Frame


@dataclass(frozen=True, slots=True)
class Write:
    """What is handed to the socket at once.

    Attributes:
        due_ns: planned time, after the request's arrival.
        pieces: body bytes; each piece is an HTTP chunk where the body is chunked.
    """

    due_ns: int
    pieces: tuple[bytes, ...]

    @property
    def size_bytes(self) -> int:
        """Body bytes in this write."""
        return sum(map(len, self.pieces))


def encode_chunks(pieces: tuple[bytes, ...]) -> bytes:
    """The pieces in HTTP/1.1 chunked coding (RFC 9112 section 7.1), without the last chunk."""
    return b"".join([b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece])
