"""Checks many recordings, one after the other, with one simulator for all of a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path

from .check import FULL, Depth, Report, check_offline, check_over_http
from .over_http import Stand
from .recording import Recording


async def check_all(
    recordings: Iterable[Recording],
    depth: Depth = FULL,
    done: Callable[[Report], None] = lambda report: None,
) -> list[Report]:
    """Check recordings.

    Args:
        recordings: out of `recordings(folder)`.
        depth: how much to check.
        done: called with every report as soon as it is there.
    """
    reports: list[Report] = []
    stands: dict[Path, Stand] = {}
    async with AsyncExitStack() as stack:
        for recording in recordings:
            report, prepared = check_offline(recording, depth)
            if prepared is not None and depth.http:
                stand = stands.get(recording.folder)
                if stand is None:
                    stand = await stack.enter_async_context(Stand(recording.folder))
                    stands[recording.folder] = stand
                await check_over_http(recording, prepared, stand, report)
            reports.append(report)
            done(report)
    return reports
