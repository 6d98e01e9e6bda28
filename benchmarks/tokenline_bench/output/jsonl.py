"""One JSON object a request, written as they end: what was measured survives a crash.

Stamps are `*_ns` after the request was issued (`scheduled_ns` is below 0 where it was late), and
`request_unix_ns` on the wall clock. `content_ns` and `content_events`: when reads brought content,
and how many events each. Level -1 is the warm-up.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from tokenline.errors import ConfigError
from tokenline_bench.results import LevelResult
from tokenline_bench.sample import Sample

_STAMPS = (
    "scheduled_ns",
    "started_ns",
    "headers_ns",
    "first_byte_ns",
    "first_chunk_ns",
    "first_token_ns",
    "first_answer_ns",
    "first_delivery_ns",
    "last_token_ns",
    "ended_ns",
)
_PLAIN = (
    "level",
    "endpoint",
    "number",
    "conversation",
    "turn",
    "worker",
    "outcome",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "body_bytes",
    "finish_reason",
    "failure",
)


class RequestWriter:
    """Writes requests to a file; a context manager.

    Raises:
        ConfigError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error.strerror}") from error
        self._encode = msgspec.json.Encoder().encode

    def write(self, sample: Sample, level: LevelResult) -> None:
        """Write one request."""
        self._file.write(self._encode(as_row(sample, level)) + b"\n")
        self._file.flush()

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


def as_row(sample: Sample, level: LevelResult) -> dict[str, Any]:
    """A request as a JSON object."""
    origin_ns = sample.request_ns if sample.request_ns is not None else sample.started_ns
    row: dict[str, Any] = {name: getattr(sample, name) for name in _PLAIN}
    row["request_unix_ns"] = level.wall_ns(origin_ns)
    for name in _STAMPS:
        stamp = getattr(sample, name)
        row[name] = None if stamp is None else stamp - origin_ns
    row["content_ns"] = [stamp - origin_ns for stamp in sample.stamps_ns()]
    row["content_events"] = sample.events().tolist()
    row["stages"] = sample.stages
    return row
