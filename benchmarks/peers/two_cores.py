"""Two processes of a client on two cores, which the server shares."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

from .processes import FailedError, Worker
from .roster import FLOOR, OPENAI, TOKENLINE
from .rows import Bench, Row

_CLIENTS = (FLOOR, TOKENLINE, OPENAI)
_HOPELESS_MS = 2000.0


async def scaling_two(bench: Bench) -> Row:
    """Loads at each number of streams a core: rates and CPU added up, the worse latency."""
    row: Row = {}
    for spec in bench.named(*_CLIENTS):
        row[spec.name] = []
        workers: list[Worker] = []
        try:
            workers += [await bench.processes.start(spec, core) for core in two_cores()]
            for number in bench.settings.scaling:
                bench.say(f"{spec.name}: twice {number} streams")
                load = await _both(workers, {"streams": number, **bench.settings.window})
                row[spec.name].append(load)
                if load["p50_ms"] > _HOPELESS_MS:
                    break
        except FailedError as error:
            bench.failures[spec.name] = str(error)
        finally:
            for worker in workers:
                await worker.stop()
    return row


def two_cores() -> tuple[int, int]:
    """Two of the cores that this process may use.

    Raises:
        FailedError: there is only one.
    """
    found = sorted(os.sched_getaffinity(0))
    if len(found) < 2:
        raise FailedError("there is one core")
    return found[0], found[1]


async def _both(workers: list[Worker], options: dict[str, Any]) -> dict[str, Any]:
    """The load of both at the same time; one may fail only after the other has answered."""
    asked = [worker.ask("load", options) for worker in workers]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    loads = []
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
        loads.append(answer)
    return _together(loads)


def _together(loads: list[dict[str, Any]]) -> dict[str, Any]:
    """Rates, CPU and memory added up; of the rest the worse one."""
    rules: dict[str, Callable[[list[float]], float]] = {
        **dict.fromkeys(("streams", "events_per_s", "cpu", "rss_mb"), sum),
        **dict.fromkeys(("due", "sent"), min),
    }
    return {name: rules.get(name, max)([load[name] for load in loads]) for name in loads[0]}
