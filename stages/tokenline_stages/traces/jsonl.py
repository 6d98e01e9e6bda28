"""A file with one record a line, with rotation by size."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenline.errors import ConfigError

from .call_thread import CallThread
from .record import Trace


class JsonlSink:
    """Appends records to a file that only its owner may read.

    A batch is one write at the end of the file, so several processes may share it as long as it
    is not rotated. A line that a crash left unfinished is closed before the next one.

    Args:
        path: the file; missing folders are made.
        rotate_bytes: size from which on the file is moved to `PATH.1`, what was there to
            `PATH.2` and so on; None for never.
        keep_files: how many moved files are kept.

    Raises:
        ConfigError: a size or number below 1.
    """

    def __init__(
        self, path: Path | str, *, rotate_bytes: int | None = None, keep_files: int = 5
    ) -> None:
        if keep_files < 1 or (rotate_bytes is not None and rotate_bytes < 1):
            raise ConfigError("rotate_bytes and keep_files are at least 1")
        self.path = Path(path)
        self._rotate_bytes = rotate_bytes
        self._keep_files = keep_files
        self._file: int | None = None
        self._thread = CallThread("tokenline-traces-jsonl")

    @property
    def name(self) -> str:
        """Name."""
        return f"jsonl:{self.path}"

    async def open(self) -> None:
        """Open the file for appending."""
        await self._thread.call(self._open)

    async def write(self, batch: Sequence[Trace]) -> None:
        """Append the batch, then rotate if the file has become too large."""
        await self._thread.call(self._append, b"".join(trace.json + b"\n" for trace in batch))

    async def flush(self) -> None:
        """Have the system write the file to its disk."""
        await self._thread.call(self._sync)

    async def aclose(self) -> None:
        """Close the file."""
        try:
            await self._thread.call(self._close)
        finally:
            self._thread.stop()

    def _open(self) -> None:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _open_private(self.path)

    def _append(self, data: bytes) -> None:
        if self._file is None:
            self._open()
        assert self._file is not None
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            data = b"\n" + data
        written = os.write(self._file, data)
        if written < len(data):
            raise OSError(f"the disk took {written} of {len(data)} bytes")
        if self._rotate_bytes is not None and size + written >= self._rotate_bytes:
            self._rotate()

    def _rotate(self) -> None:
        self._close()
        for number in range(self._keep_files - 1, 0, -1):
            if (older := rotated(self.path, number)).exists():
                older.replace(rotated(self.path, number + 1))
        self.path.replace(rotated(self.path, 1))
        self._open()

    def _sync(self) -> None:
        if self._file is not None:
            os.fsync(self._file)

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def rotated(path: Path, number: int) -> Path:
    """The file that was moved away `number` rotations ago."""
    return path.with_name(f"{path.name}.{number}")


def rotated_files(path: Path) -> Iterator[Path]:
    """The file and those that were moved away, the newest first."""
    yield path
    number = 1
    while (older := rotated(path, number)).exists():
        yield older
        number += 1


def _open_private(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600)
