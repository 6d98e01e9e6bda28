"""Messages as server-sent events, and back.

A message is one event: `data:` and its JSON; an `error_message` is an event named `error`. The
end is `data: [DONE]`. Only a whole event's data is ever compared with that mark, so text that
looks like it is text.

Source: WHATWG HTML, section 9.2 "Server-sent events".
"""

from collections.abc import AsyncIterable, AsyncIterator

import msgspec

from tokenline.errors import MalformedStreamError
from tokenline.options import Limits
from tokenline_stages.wire.sse import SseDecoder
from tokenline_stages.wire.sse_batch import COMMENT

from .messages import ErrorMessage, Message, decode_message, encode_message

DONE = b"data: [DONE]\n\n"
"""The last event of a stream."""

_END_MARK = b"[DONE]"


def encode_event(data: bytes, event: str | None = None, event_id: str | None = None) -> bytes:
    """One server-sent event; data of several lines becomes several `data:` lines.

    Raises:
        ValueError: a name or an id with a line break in it, or an id with a NUL.
    """
    lines: list[bytes] = []
    for field, value in (("event", event), ("id", event_id)):
        if value is None:
            continue
        if any(char in value for char in "\r\n\0"):
            raise ValueError(f"the {field} of a server-sent event has no line break: {value!r}")
        lines.append(f"{field}: {value}".encode())
    # For bytes, unlike str, `splitlines` knows CR, LF and CRLF only: exactly those of SSE.
    lines += [b"data: " + line for line in (data + b"\n").splitlines()]
    return b"\n".join(lines) + b"\n\n"


def encode_sse(message: Message, *, with_id: bool = False) -> bytes:
    """A message as a server-sent event.

    Args:
        message: the message.
        with_id: send `seq_id` as the event's id too; browsers name the last one when they
            reconnect (`Last-Event-ID`).
    """
    name = "error" if type(message) is ErrorMessage else None
    event_id = str(message.seq_id) if with_id else None
    return encode_event(encode_message(message), name, event_id)


async def sse_body(
    messages: AsyncIterable[Message], *, with_ids: bool = False
) -> AsyncIterator[bytes]:
    """The body of a streamed HTTP response: every message, then `[DONE]`.

    Args:
        messages: a `MessageStream`; its last messages say how the response ended.
        with_ids: send `seq_id` as the events' ids too.
    """
    async for message in messages:
        yield encode_sse(message, with_id=with_ids)
    yield DONE


class SseMessageDecoder:
    """Decodes a body of `sse_body`, cut anywhere. Sans-IO.

    Attributes:
        done: whether `[DONE]` came; what follows it is passed over.
        unknown: how many events were no message that this version knows.
        last_seq_id: the highest `seq_id` so far; 0 before the first.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._events = SseDecoder(limits or Limits())
        self.done = False
        self.unknown = 0
        self.last_seq_id = 0

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes.

        Raises:
            MalformedStreamError: an event's data is no JSON.
            LimitExceededError: a line or an event is too long.
        """
        return self._decode(self._events.feed(data))

    def finish(self) -> list[Message]:
        """The body is over: what was left of it; raises like `feed`."""
        return self._decode(self._events.finish())

    def _decode(self, events: list[tuple[str, bytes]]) -> list[Message]:
        found: list[Message] = []
        for index, (name, data) in enumerate(events):
            if self.done or name == COMMENT:
                continue
            if data == _END_MARK:
                self.done = True
                continue
            message = self._read(index, data)
            if message is not None:
                self.last_seq_id = max(self.last_seq_id, message.seq_id)
                found.append(message)
        return found

    def _read(self, index: int, data: bytes) -> Message | None:
        try:
            return decode_message(data)
        except msgspec.ValidationError:
            self.unknown += 1
            return None
        except (msgspec.DecodeError, RecursionError) as error:
            offset = self._events.offset_of(index)
            raise MalformedStreamError(
                f"the event at byte {offset} is no JSON ({error}); is this a body of messages?",
                offset=offset,
            ) from error
