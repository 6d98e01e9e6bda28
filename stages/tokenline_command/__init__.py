"""Where the command `tokenline` starts: Ctrl-C during its imports ends it in one line too.

A package of its own, because importing any module of the others takes their imports first.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

EXIT_INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line; see `tokenline_stages.cli.app.main`."""
    with ended_by_ctrl_c():
        from tokenline_stages.cli import main as run
    run()


@contextmanager
def ended_by_ctrl_c() -> Iterator[None]:
    """While modules are imported: Ctrl-C ends the process at once, where Python would raise.

    An exception in the midst of an import may be lost or turned into another one.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # ignored, or somebody else's matter
        return
    try:
        signal.signal(signal.SIGINT, _end)
    except ValueError:  # not the main thread, which is where signals go
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    os.write(2, b"interrupted\n")
    os._exit(EXIT_INTERRUPTED)
