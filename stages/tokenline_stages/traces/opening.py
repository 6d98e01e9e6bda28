"""From what a user writes to a store or a reader: paths, URLs, functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from tokenline.errors import ConfigError
from tokenline.estimate import UsageEstimator

from .callback import CallbackSink, TraceCallback
from .jsonl import JsonlSink
from .options import TraceOptions
from .reading import JsonlReader, SqlReader, TraceReader
from .sink import TraceSink
from .sql import SqlSink
from .store import TraceStore

Target = str | Path | TraceCallback | TraceSink
"""A file (`.jsonl`, `.ndjson`; SQLite: `.db`, `.sqlite`, `.sqlite3`), a database URL
(`sqlite:///FILE`, `postgresql://USER@HOST/DATABASE`), a function, or a sink."""

_LINES = (".jsonl", ".ndjson")
_SQLITE = (".db", ".sqlite", ".sqlite3")


def traces(
    *targets: Target, usage_estimator: UsageEstimator | None = None, **options: Any
) -> TraceStore:
    """A store that writes to every target.

    Args:
        targets: where records go.
        usage_estimator: counts tokens of runs that ended without any count.
        options: as `TraceOptions`.

    Raises:
        ConfigError: a target of no known form, or what it needs is not installed.
    """
    sinks = [sink_for(target) for target in targets]
    return TraceStore(*sinks, options=TraceOptions(**options), usage_estimator=usage_estimator)


def sink_for(target: Target) -> TraceSink:
    """The sink for a target; raises like `traces`."""
    if isinstance(target, (str, Path)):
        return JsonlSink(target) if _is_file_of_lines(target) else SqlSink(target)
    if hasattr(target, "write") and hasattr(target, "open"):
        return cast(TraceSink, target)
    if callable(target):
        return CallbackSink(target)
    raise ConfigError(f"no traces to a {type(target).__name__}: {_FORMS}")


def open_reader(address: str | Path) -> TraceReader:
    """Reads what a store wrote to a file or database.

    Raises:
        ConfigError: no known form, nothing there, or what it needs is not installed.
    """
    return JsonlReader(Path(address)) if _is_file_of_lines(address) else SqlReader(address)


_FORMS = (
    "give a file (.jsonl, .db), a URL (sqlite:///FILE, postgresql://USER@HOST/DATABASE), a"
    " function that takes a record, or a sink"
)


def _is_file_of_lines(address: str | Path) -> bool:
    if isinstance(address, str) and "://" in address:
        return False
    suffix = Path(address).suffix.lower()
    if suffix not in (*_LINES, *_SQLITE):
        raise ConfigError(f"no traces at {str(address)!r}: {_FORMS}")
    return suffix in _LINES
