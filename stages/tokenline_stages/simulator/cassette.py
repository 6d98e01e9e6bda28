"""Cassettes: a real stream with the time of every read, to be played again.

Format 1, JSON Lines in UTF-8, `NAME.cassette.jsonl`. All `t_ns` are nanoseconds since the
request was sent, on a monotonic clock.

1. The head: `format` ("tokenline-cassette"), `version` (1), `recorded_unix_ns`, `request`
   (`method`, `url`, `headers`, `json`), `status`, `headers` (name and value pairs), `t_ns` of the
   response's headers. Secrets are replaced by `REDACTED` before they are written.
2. One line a read: `t_ns`, `data` (base64 of the body bytes that it brought, transfer coding
   removed).
3. The end: `t_ns`, `end` (`complete` or `cut`), and `error` where there was one. A file without
   it was left unfinished.

Readers ignore fields that they do not know and refuse versions above their own.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO, TypeVar

import msgspec

from tokenline.errors import ConfigError

SUFFIX = ".cassette.jsonl"
FORMAT = "tokenline-cassette"
VERSION = 1

T = TypeVar("T")

_SECRET = re.compile(
    r"authorization|cookie|api-?key|token|secret|password|credential|signature|organization",
    re.IGNORECASE,
)
_SECRET_QUERY = re.compile(
    r"(?<=[?&])([^=&]*(?:key|token|signature|credential)[^=&]*)=[^&#]*", re.I
)


class RecordingError(ConfigError):
    """A recording that is missing or not in the form it should have."""


class RecordedRequest(msgspec.Struct, kw_only=True, frozen=True):
    """The request that brought the stream, secrets removed."""

    method: str = "POST"
    url: str = ""
    headers: dict[str, str] = {}
    json: Any = None


class CassetteHead(msgspec.Struct, kw_only=True, frozen=True):
    """First line of a cassette; the fields are told in the module's text."""

    format: str = FORMAT
    version: int = VERSION
    recorded_unix_ns: int = 0
    request: RecordedRequest = RecordedRequest()
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    t_ns: int = 0


class CassetteRead(msgspec.Struct, kw_only=True, frozen=True):
    """What one read brought. `data` is base64 in the file."""

    t_ns: int
    data: bytes


class CassetteEnd(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """Last line of a finished cassette."""

    t_ns: int
    end: str
    error: str | None = None


class Cassette(msgspec.Struct, kw_only=True, frozen=True):
    """A whole cassette. `end` is None for an unfinished one."""

    head: CassetteHead
    reads: tuple[CassetteRead, ...]
    end: CassetteEnd | None = None

    @property
    def body(self) -> bytes:
        """All reads joined."""
        return b"".join(read.data for read in self.reads)


def redact_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with every secret replaced by `REDACTED`."""
    return {name: "REDACTED" if _SECRET.search(name) else value for name, value in headers.items()}


def redact_url(url: str) -> str:
    """The address with keys in its query replaced by `REDACTED`."""
    return _SECRET_QUERY.sub(r"\1=REDACTED", url)


class CassetteWriter:
    """Writes a cassette line by line, so that a crash loses only what came after it.

    A context manager; leaving it by an exception leaves the cassette unfinished.
    """

    def __init__(self, path: Path, head: CassetteHead) -> None:
        """Open the file and write the head, secrets removed. Raises `OSError`."""
        request = msgspec.structs.replace(
            head.request,
            url=redact_url(head.request.url),
            headers=redact_headers(head.request.headers),
        )
        headers = tuple((n, redact_headers({n: v})[n]) for n, v in head.headers)
        head = msgspec.structs.replace(head, request=request, headers=headers)
        self._file: TextIO = path.open("w", encoding="utf-8", newline="\n")
        self._write(head)

    def _write(self, line: msgspec.Struct) -> None:
        self._file.write(msgspec.json.encode(line).decode() + "\n")

    def read(self, t_ns: int, data: bytes) -> None:
        """Note what one read brought."""
        self._write(CassetteRead(t_ns=t_ns, data=data))

    def end(self, t_ns: int, error: str | None = None) -> None:
        """Note the end of the body: complete, or cut by an error."""
        self._write(CassetteEnd(t_ns=t_ns, end="cut" if error else "complete", error=error))

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def read_cassette(path: Path) -> Cassette:
    """Read a whole cassette.

    Raises:
        RecordingError: not there, no cassette, a version above ours, or a broken line (named).
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise RecordingError(f"cannot read {path}: {error.strerror}") from error
    if not lines:
        raise RecordingError(f"{path.name} is empty; expected a cassette")
    head = _decode(path, 1, lines[0], CassetteHead)
    if b'"format"' not in lines[0] or head.format != FORMAT:
        raise RecordingError(f"{path.name} is no cassette: its first line has no such format")
    if head.version > VERSION:
        raise RecordingError(
            f"{path.name} has version {head.version}, this reads up to {VERSION}; update tokenline"
        )
    reads, end = _split_end(path, lines[1:])
    return Cassette(head=head, reads=tuple(reads), end=end)


def _split_end(
    path: Path, lines: Sequence[bytes]
) -> tuple[Iterator[CassetteRead], CassetteEnd | None]:
    end = None
    if lines and b'"end"' in lines[-1]:
        end = _decode(path, len(lines) + 1, lines[-1], CassetteEnd)
        lines = lines[:-1]
    return (_decode(path, n, line, CassetteRead) for n, line in enumerate(lines, start=2)), end


def _decode(path: Path, number: int, line: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path.name} line {number}: {error}") from error
