"""A run's events as an aiostream `Stream`, for users who compose with its operators.

aiostream is GPL-3.0-or-later, so it is an extra and is imported here only, when used. Map-like
operators are fine; leave the run's `async with` outside of the stream's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import UsageError

if TYPE_CHECKING:
    from .run import Run


def as_stream(run: Run) -> Any:
    """An aiostream `Stream` over the events of a run.

    Raises:
        UsageError: aiostream is not installed.
    """
    try:
        from aiostream import stream
    except ImportError:
        raise UsageError(
            "run.stream() needs aiostream: pip install 'tokenline[aiostream]' (GPL-3.0-or-later)"
        ) from None
    return stream.iterate(run)
