"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` make another file beside `path`, then put that in its place.

    A pipe or a device is written to as it is.

    Raises:
        OSError: the file cannot be written; what was there before is still there.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        write(path)
        return
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        write(part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
