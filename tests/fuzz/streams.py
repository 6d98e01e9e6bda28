"""Bodies as lists of records, so that they can be damaged with their framing intact.

A record is one SSE event, one line of JSON or one AWS frame; its `data` is the provider's JSON.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any

from tokenline.errors import TokenlineError
from tokenline.options import Limits
from tokenline_stages.conformance import recordings
from tokenline_stages.simulator import RecordingError
from tokenline_stages.simulator.apis.eventstream import encode_frame
from tokenline_stages.wire.aws_eventstream import EventStreamDecoder

DATA = Path(__file__).parents[1] / "data"


class Form(StrEnum):
    SSE = "sse"
    NDJSON = "ndjson"
    FRAMES = "frames"


@dataclass(frozen=True, slots=True)
class Record:
    """One unit of a stream: its JSON and what is around it."""

    data: bytes
    head: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    in_base64: bool = False


@dataclass(frozen=True, slots=True)
class Stream:
    """A body, and the wire API that it is of."""

    name: str
    api: str
    form: Form
    records: tuple[Record, ...]

    def encode(self, random: Random | None = None) -> bytes:
        """The body; with `random`, in any of the spellings that the form allows."""
        if self.form is Form.NDJSON:
            return b"".join(record.data + b"\n" for record in self.records)
        if self.form is Form.FRAMES:
            return b"".join(map(_frame, self.records))
        end = random.choice((b"\n", b"\r\n", b"\r")) if random else b"\n"
        space = random.choice((b" ", b"")) if random else b" "
        return b"".join(_event(record, end, space) for record in self.records)


def _event(record: Record, end: bytes, space: bytes) -> bytes:
    lines = [line for line in record.head.split(b"\n") if line]
    lines += [b"data:" + space + line for line in record.data.split(b"\n")] if record.data else []
    return end.join(lines) + end + end


def _frame(record: Record) -> bytes:
    data = record.data
    if record.in_base64:
        data = b'{"bytes":"' + base64.b64encode(data) + b'","p":"ab"}'
    return encode_frame(dict(record.headers), data)


def read_sse(body: bytes) -> Iterator[Record]:
    text = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for block in text.split(b"\n\n"):
        lines = block.split(b"\n")
        data = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
        head = [line for line in lines if not line.startswith(b"data:")]
        if block.strip():
            yield Record(b"\n".join(data), b"\n".join(head))


def read_frames(body: bytes) -> Iterator[Record]:
    for frame in EventStreamDecoder(Limits()).feed(body):
        headers = tuple((name, str(value)) for name, value in frame.headers.items())
        yield _unpacked(Record(frame.payload, headers=headers))


def _unpacked(record: Record) -> Record:
    try:
        payload: Any = json.loads(record.data)
        data = base64.b64decode(payload["bytes"], validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error):
        return record
    return replace(record, data=data, in_base64=True)


def read_body(name: str, api: str, body: bytes) -> Stream:
    """The records of a body."""
    if api.startswith("bedrock") or api == "anthropic.bedrock":
        return Stream(name, api, Form.FRAMES, tuple(read_frames(body)))
    if api.startswith("ollama"):
        lines = tuple(Record(line) for line in body.splitlines() if line.strip())
        return Stream(name, api, Form.NDJSON, lines)
    return Stream(name, api, Form.SSE, tuple(read_sse(body)))


_SSE_FOLDERS = {
    "anthropic": "anthropic.messages",
    "gemini": "gemini",
    "openai_chat": "openai.chat",
    "openai_responses": "openai.responses",
}


def hand_written() -> list[Stream]:
    """The streams in tests/data."""
    found = [
        read_body(path.name, api, path.read_bytes())
        for folder, api in _SSE_FOLDERS.items()
        for path in sorted((DATA / folder).glob("*.sse"))
    ]
    found += [_in_frames(stream) for stream in found if stream.api == "anthropic.messages"]
    for path in sorted((DATA / "ollama").glob("*.ndjson")):
        api = "ollama.generate" if "generate" in path.name else "ollama.chat"
        found.append(read_body(path.name, api, path.read_bytes()))
    for path in sorted((DATA / "bedrock").glob("*.jsonl")):
        api = "bedrock.converse" if path.name.startswith("converse") else "bedrock.invoke"
        found.append(Stream(path.name, api, Form.FRAMES, tuple(_bedrock_records(path))))
    return found


def recorded(folder: Path | None) -> list[Stream]:
    """The streams of recordings; none without a folder."""
    found = []
    for recording in recordings(folder) if folder is not None else ():
        try:
            content = recording.read()
            found.append(read_body(recording.name, content.api, content.body))
        except (RecordingError, TokenlineError):
            continue
    return found


def _in_frames(stream: Stream) -> Stream:
    headers = _headers("event", "chunk")
    records = tuple(Record(r.data, b"", headers, True) for r in stream.records if r.data)
    return Stream(stream.name, "anthropic.bedrock", Form.FRAMES, records)


def _bedrock_records(path: Path) -> Iterable[Record]:
    for line in path.read_bytes().splitlines():
        kind, *rest = json.loads(line)
        if kind == "chunk":
            yield Record(_dump(rest[0]), headers=_headers("event", "chunk"), in_base64=True)
        else:
            yield Record(_dump(rest[1]), headers=_headers(kind, rest[0]))


def _headers(kind: str, type_: str) -> tuple[tuple[str, str], ...]:
    return ((f":{kind}-type", type_), (":message-type", kind))


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def of_one_api(streams: Sequence[Stream]) -> dict[str, list[Stream]]:
    """The streams by wire API; servers of one API are together."""
    found: dict[str, list[Stream]] = {}
    for stream in streams:
        found.setdefault(stream.api.partition(":")[0], []).append(stream)
    return found
