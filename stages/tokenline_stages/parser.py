"""2. The parser: raw bytes become the typed wire items of a provider.

A parser is a wire format (`tokenline_stages.wire`) with a provider's `decode` behind it. It is
also the place where input from outside meets its limits, and where a body that is no stream at
all is told from a broken one.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from tokenline.stage import RawChunk, StageSpec, StepContext

from .wire.aws_eventstream import EventStreamDecoder, Frame
from .wire.body_parser import UNREADABLE, BodyParser, read_report
from .wire.items import Comment, Done, Unknown
from .wire.ndjson import NdjsonDecoder
from .wire.sse import COMMENT, STRAY, SseDecoder

W = TypeVar("W")

_DONE: Final = Done()
_DONE_DATA: Final = b"[DONE]"
_ASIDES: Final = frozenset((COMMENT, STRAY))
_SSE_FIELDS = (b":", b"data", b"event", b"id", b"retry")


class SseParser(BodyParser[tuple[str, bytes], W | Done | Comment | Unknown]):
    """Parses server-sent events.

    Args:
        decode: gives the wire item of `(event name or "", data)`, `Unknown` for a type that it
            does not know. `[DONE]` and comments are not passed to it.
        context: what the step knows of its run.
        provider: name of the provider, for messages.
    """

    form = "stream of server-sent events"
    foreign = re.compile(rb"[\xef\xbb\xbf\s]*[{\[<]|\x1f\x8b")

    def __init__(
        self, decode: Callable[[str, bytes], W], context: StepContext, provider: str
    ) -> None:
        super().__init__(SseDecoder(context.limits), context, provider)
        self._decode = decode

    def finish(self, recv_ns: int, out: list[W | Done | Comment | Unknown]) -> None:
        """As the other parsers; and a body without any field of the format is refused."""
        super().finish(recv_ns, out)
        if self._head is not None and not _begins_as_sse(bytes(self._head)):
            raise self._refusal()

    def _emit(
        self,
        found: list[tuple[str, bytes]],
        out: list[W | Done | Comment | Unknown],
        ended: bool = False,
    ) -> None:
        decode = self._decode
        deep_bytes = self._deep_bytes
        first = len(out)
        for name, data in found:
            if data == _DONE_DATA:
                out.append(_DONE)
            elif name in _ASIDES:
                out.append(self._read_aside(name, data))
            else:
                try:
                    if len(data) > deep_bytes:
                        self._check_depth(data)
                    out.append(decode(name, data))
                except UNREADABLE as error:
                    out.append(self._recover(name, data, len(out) - first, error, ended))

    def _read_aside(self, name: str, data: bytes) -> Comment | Unknown:
        if name == COMMENT:
            return Comment(data)
        report = read_report(data, self._provider)
        if report is not None:
            raise report
        return Unknown("", data)

    def _recover(
        self, name: str, data: bytes, index: int, error: Exception, ended: bool
    ) -> W | Done | Comment | Unknown:
        # Some servers send blank data to keep the connection alive, some spaces after the marker.
        text = data.strip()
        if not text:
            return Comment(data)
        if text == _DONE_DATA:
            return _DONE
        return self._rescue(partial(self._decode, name), data, index, error, ended)


class NdjsonParser(BodyParser[bytes, W]):
    """Parses newline-delimited JSON.

    Args:
        decode: gives the wire item of `("", line)`: the same form that `SseParser` takes.
        context: what the step knows of its run.
        provider: name of the provider, for messages.
    """

    form = "stream of JSON lines"
    # A stream's first line is a whole object; one that goes on is indented JSON.
    foreign = re.compile(rb"\s*(?:[^{\s]|\{\s*\n)")

    def __init__(
        self, decode: Callable[[str, bytes], W], context: StepContext, provider: str
    ) -> None:
        super().__init__(NdjsonDecoder(context.limits), context, provider)
        self._decode = partial(decode, "")

    def _emit(self, found: list[bytes], out: list[W], ended: bool = False) -> None:
        for index, line in enumerate(found):
            try:
                if len(line) > self._deep_bytes:
                    self._check_depth(line)
                out.append(self._decode(line))
            except UNREADABLE as error:
                out.append(self._rescue(self._decode, line, index, error, ended))


class EventStreamParser(BodyParser[Frame, W]):
    """Parses an AWS event stream.

    Args:
        decode: gives the wire item of a frame, `Unknown` for a type that it does not know.
        context: what the step knows of its run.
        provider: name of the provider, for messages.
    """

    form = "AWS event stream"
    # A frame begins with its length: a letter there would mean half a gigabyte.
    foreign = re.compile(rb"[\t\r\n -~\xef]|\x1f\x8b")

    def __init__(self, decode: Callable[[Frame], W], context: StepContext, provider: str) -> None:
        super().__init__(EventStreamDecoder(context.limits), context, provider)
        self._decode = decode

    def _emit(self, found: list[Frame], out: list[W], ended: bool = False) -> None:
        for index, frame in enumerate(found):
            try:
                if len(frame.payload) > self._deep_bytes:
                    self._check_depth(frame.payload)
                out.append(self._decode(frame))
            except UNREADABLE as error:
                again = partial(self._decode_payload, frame)
                out.append(self._rescue(again, frame.payload, index, error, ended))

    def _decode_payload(self, frame: Frame, payload: bytes) -> W:
        return self._decode(Frame(frame.headers, payload))


def sse_parser(
    wire_type: Any, decode: Callable[[str, bytes], Any], provider: str, name: str = "parser"
) -> StageSpec:
    """A parser stage for server-sent events; see `SseParser`.

    Args:
        wire_type: type of the items it emits, `Done`, `Comment` and `Unknown` among them.
        decode: gives the wire item of `(event name or "", data)`.
        provider: name of the provider, for messages.
        name: stage name.
    """
    return StageSpec(
        name, RawChunk, wire_type, lambda context: SseParser(decode, context, provider)
    )


def ndjson_parser(
    wire_type: Any, decode: Callable[[str, bytes], Any], provider: str, name: str = "parser"
) -> StageSpec:
    """A parser stage for newline-delimited JSON; see `NdjsonParser`.

    Args:
        wire_type: type of the items it emits.
        decode: gives the wire item of `("", line)`.
        provider: name of the provider, for messages.
        name: stage name.
    """
    return StageSpec(
        name, RawChunk, wire_type, lambda context: NdjsonParser(decode, context, provider)
    )


def event_stream_parser(
    wire_type: Any, decode: Callable[[Frame], Any], provider: str, name: str = "parser"
) -> StageSpec:
    """A parser stage for AWS event streams; see `EventStreamParser`.

    Args:
        wire_type: type of the items it emits.
        decode: gives the wire item of a frame.
        provider: name of the provider, for messages.
        name: stage name.
    """
    return StageSpec(
        name, RawChunk, wire_type, lambda context: EventStreamParser(decode, context, provider)
    )


def _begins_as_sse(head: bytes) -> bool:
    """Whether a body that held no event is one of this format all the same, if only cut short."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    return any(text.startswith(field) or field.startswith(text) for field in _SSE_FIELDS)
