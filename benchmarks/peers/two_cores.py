"""Two processes of a client on two cores, which the server shares."""

from __future__ import annotations

import asyncio
from typing import Any

from .processes import FailedError
from .roster import FLOOR, OPENAI, TOKENLINE
from .rows import Bench, Row

_CLIENTS = (FLOOR, TOKENLINE, OPENAI)


async def scaling_two(bench: Bench) -> Row:
    """Loads at each number of streams a core: rates and CPU added up, the worse latency."""
    row: Row = {}
    for spec in bench.named(*_CLIENTS):
        workers = [await bench.processes.start(spec, core) for core in (0, 1)]
        row[spec.name] = []
        try:
            for number in bench.settings.scaling:
                bench.say(f"{spec.name}: twice {number} streams")
                asked = [
                    worker.ask("load", {"streams": number, **bench.settings.window})
                    for worker in workers
                ]
                answers = await asyncio.gather(*asked, return_exceptions=True)
                for answer in answers:
                    if isinstance(answer, BaseException):
                        raise answer
                load = _together([answer for answer in answers if isinstance(answer, dict)])
                row[spec.name].append(load)
                if load["p50_ms"] > 2000:
                    break
        except FailedError as error:
            bench.failures[spec.name] = str(error)
        finally:
            for worker in workers:
                await worker.stop()
    return row


def _together(loads: list[dict[str, Any]]) -> dict[str, Any]:
    added = ("streams", "events_per_s", "cpu", "rss_mb")
    return {
        name: sum(load[name] for load in loads)
        if name in added
        else max(load[name] for load in loads)
        for name in loads[0]
    }
