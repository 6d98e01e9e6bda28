"""Cassettes: a real stream with the time of every read, to be played again.

Format 1, JSON Lines in UTF-8, `NAME.cassette.jsonl`. All `t_ns` are nanoseconds since the
request was sent, on a monotonic clock; they are not negative and never decrease.

1. The head: `format` ("tokenline-cassette"), `version` (1), `recorded_unix_ns`, `request`
   (`method`, `url`, `headers`, `json`), `status`, `headers` (name and value pairs), `t_ns` of the
   response's headers.
2. One line a read: `t_ns`, `data` (base64 of the body bytes that it brought, transfer coding
   removed).
3. The end: `t_ns`, `end` (`complete` or `cut`), and `error` where there was one. A file without
   it was left unfinished.

Secrets are replaced by `[redacted]` before the head and the end are written, as told in
`tokenline_stages.scrubbing`. The response's body is kept byte for byte: what the provider said in
it, a key included, stands in the file.

Readers ignore fields that they do not know and refuse versions above their own. A last line that
was written only in part is left out, and the cassette is `truncated`.
"""

import logging
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO, TypeVar

import msgspec

from tokenline.errors import ConfigError
from tokenline_stages.scrubbing import Scrubber
from tokenline_stages.scrubbing import redact_headers as redact_headers
from tokenline_stages.scrubbing import redact_url as redact_url

SUFFIX = ".cassette.jsonl"
FORMAT = "tokenline-cassette"
VERSION = 1

T = TypeVar("T")

logger = logging.getLogger("tokenline")

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.1
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


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
    """A whole cassette.

    Attributes:
        head: the request, and the response without its body.
        reads: the body.
        end: None for an unfinished one.
        truncated: whether the last line was written only in part, and left out.
    """

    head: CassetteHead
    reads: tuple[CassetteRead, ...]
    end: CassetteEnd | None = None
    truncated: bool = False

    @property
    def body(self) -> bytes:
        """All reads joined."""
        return b"".join(read.data for read in self.reads)


class CassetteWriter:
    """Writes a cassette; every line is with the operating system when its method returns.

    So a crash of the process loses nothing that was noted, and one of the machine what was not on
    the disk yet. A context manager; leaving it by an exception leaves the cassette unfinished.

    Args:
        path: of the file; what is there is overwritten.
        head: first line; secrets are taken out of it.
        secrets: further strings that must not be written, such as the client's key.
    """

    def __init__(self, path: Path, head: CassetteHead, secrets: Sequence[str] = ()) -> None:
        """Open the file and write the head. Raises `OSError`."""
        asked = head.request
        self._scrubber = Scrubber(asked.headers, asked.json, asked.url, secrets)
        self._file: TextIO = path.open("w", encoding="utf-8", newline="\n")
        self._write(self._clean(head))

    def _clean(self, head: CassetteHead) -> CassetteHead:
        scrubber = self._scrubber
        request = msgspec.structs.replace(
            head.request,
            url=scrubber.url(head.request.url),
            headers=scrubber.request_headers(head.request.headers),
            json=scrubber.data(head.request.json),
        )
        headers = scrubber.response_headers(head.headers)
        return msgspec.structs.replace(head, request=request, headers=headers)

    def _write(self, line: msgspec.Struct) -> None:
        self._file.write(msgspec.json.encode(line).decode() + "\n")
        self._file.flush()

    def read(self, t_ns: int, data: bytes) -> None:
        """Note what one read brought."""
        self._write(CassetteRead(t_ns=t_ns, data=data))

    def end(self, t_ns: int, error: str | None = None) -> None:
        """Note the end of the body: complete, or cut by an error, whose secrets are taken out."""
        said = None if error is None else self._scrubber.text(error)
        end = "complete" if error is None else "cut"
        self._write(CassetteEnd(t_ns=t_ns, end=end, error=said))

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
    """Read a whole cassette. A last line that was written only in part is left out, with a warning.

    Raises:
        RecordingError: not there, no cassette, a version above ours, or a broken line (named).
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"cannot read {path}: {error.strerror}") from error
    lines = content.splitlines()
    if not lines:
        raise RecordingError(f"{path.name} is empty; expected a cassette")
    head = _read_head(path, lines[0])
    truncated = len(lines) > 1 and not content.endswith(b"\n") and not _is_json(lines[-1])
    if truncated:
        said = "%s line %d is truncated; the %d reads before it are kept"
        logger.warning(said, path.name, len(lines), len(lines) - 2)
        lines = lines[:-1]
    reads, end = _read_body(path, lines)
    _check_times(path, head, reads, end)
    return Cassette(head=head, reads=reads, end=end, truncated=truncated)


def _read_head(path: Path, line: bytes) -> CassetteHead:
    head = _decode(path, 1, line, CassetteHead)
    if b'"format"' not in line or head.format != FORMAT:
        raise RecordingError(f"{path.name} is no cassette: its first line has no such format")
    if head.version > VERSION:
        raise RecordingError(
            f"{path.name} has version {head.version}, this reads up to {VERSION}; update tokenline"
        )
    if not 200 <= head.status <= 599:
        raise RecordingError(f"{path.name} line 1: status {head.status} is not from 200 to 599")
    for name, value in head.headers:
        check_header(f"{path.name} line 1", name, value)
    return head


def check_header(where: str, name: str, value: str) -> None:
    """Refuse a header that cannot be sent. Raises `RecordingError`, which names the place."""
    if not _HEADER_NAME.fullmatch(name):
        raise RecordingError(f"{where}: {name!r} is no name of a header")
    if _CONTROL.search(value):
        raise RecordingError(f"{where}: header {name!r} has a line break or control character")


def _read_body(
    path: Path, lines: Sequence[bytes]
) -> tuple[tuple[CassetteRead, ...], CassetteEnd | None]:
    end = None
    if len(lines) > 1 and b'"end"' in lines[-1]:
        end = _decode(path, len(lines), lines[-1], CassetteEnd)
        lines = lines[:-1]
    reads = (_decode(path, n, line, CassetteRead) for n, line in enumerate(lines[1:], start=2))
    return tuple(reads), end


def _check_times(
    path: Path, head: CassetteHead, reads: Sequence[CassetteRead], end: CassetteEnd | None
) -> None:
    times_ns = [head.t_ns, *(read.t_ns for read in reads)]
    if end is not None:
        times_ns.append(end.t_ns)
    for number, (before_ns, t_ns) in enumerate(pairwise([0, *times_ns]), start=1):
        if t_ns < before_ns:
            why = "is negative" if t_ns < 0 else f"is before the {before_ns} of the line above"
            raise RecordingError(f"{path.name} line {number}: t_ns {t_ns} {why}")


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _decode(path: Path, number: int, line: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path.name} line {number}: {error}") from error
