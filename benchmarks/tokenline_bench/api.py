"""Use from code: one call from an endpoint to a report."""

from __future__ import annotations

import asyncio
from typing import Any

from .config import Bench, Endpoint
from .report import Report
from .session import Observer, Session
from .summary.build import build_report


async def measure_async(
    *endpoints: Endpoint,
    bench: Bench | None = None,
    observer: Observer | None = None,
    **options: Any,
) -> Report:
    """Measure endpoints on the running loop.

    Args:
        endpoints: what to measure; several are measured in turns.
        bench: the whole benchmark, instead of endpoints and options.
        observer: is told what happens.
        options: further fields of `Bench`: `requests`, `load`, `work`, `slo` ... `concurrency`
            stands for `load=(ClosedLoop(concurrency=...),)`, `rate_per_s` for an `OpenLoop`.

    Raises:
        ConfigError: a mistake in what was asked for.
        StreamError: an endpoint does not answer as it should.
    """
    session = Session(bench or make_bench(endpoints, options), observer)
    return build_report(await session.run())


def measure(*endpoints: Endpoint, bench: Bench | None = None, **options: Any) -> Report:
    """Measure endpoints; like `measure_async`, with a loop of its own."""
    return asyncio.run(measure_async(*endpoints, bench=bench, **options))


def make_bench(endpoints: tuple[Endpoint, ...], options: dict[str, Any]) -> Bench:
    """A benchmark from endpoints and options; see `measure_async`."""
    from .config import ClosedLoop, OpenLoop

    options = dict(options)
    if "concurrency" in options:
        options["load"] = (ClosedLoop(concurrency=options.pop("concurrency")),)
    if "rate_per_s" in options:
        options["load"] = (OpenLoop(rate_per_s=options.pop("rate_per_s")),)
    return Bench(endpoints=endpoints, **options)
