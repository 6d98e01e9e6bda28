"""An hour of streams in minutes: does memory stay where it is?

    python -m benchmarks.soak [--streams 60000] [--concurrent 150] [--slice 2000] [--seed 0]

Short streams as fast as they go, over every wire API and both kinds of source, against a simulator
in a process of its own. Most complete; some are cut, refused, broken or answered with an error,
some readers leave early or cancel. Every run has telemetry and a trace record.

Resident memory (RSS as the system sees it: nothing is collected or trimmed for the sample) is
taken after each slice. Warm-up is the first fifth of the slices, when modules are loaded and the
allocator finds its size. Flat means: every later slice is within 5 % of the median of the first
three behind the warm-up. At the end there are as many tasks and file descriptors as before.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from statistics import median

import click
import msgspec
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from benchmarks.chaos.leftovers import Holding, resident_mib
from benchmarks.chaos.ways import WAYS
from tokenline.errors import StreamError
from tokenline.policy import Timeouts
from tokenline.record import RunRecord
from tokenline.telemetry import OTelTelemetry
from tokenline_stages import Connection
from tokenline_stages.simulator import Plan, PlanMix, SimulatorProcess
from tokenline_stages.simulator.faults import (
    Cut,
    ErrorEvent,
    Fault,
    HttpError,
    MalformedEvent,
    Reset,
)
from tokenline_stages.trace_emitter import TraceEmitter

TOKENS = 12
WARM_UP = 0.2
MOST_CHANGE = 0.05
MANNERS = ("to the end",) * 8 + ("leaves", "cancels")
FAULTS: tuple[Fault, ...] = (
    Cut(),
    Reset(),
    MalformedEvent(),
    ErrorEvent(),
    HttpError(status=429),
    HttpError(status=500, body="html"),
)
FAULTY = 0.2
PACED = 0.2
"""The share that takes its time, so that readers who leave do so in the middle."""

TIMEOUTS = Timeouts(headers_s=30.0, idle_s=30.0, total_s=60.0)


class CountingExporter(SpanExporter):
    """Counts root spans and forgets them."""

    def __init__(self) -> None:
        self.roots = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.roots += sum(span.parent is None for span in spans)
        return SpanExportResult.SUCCESS


@dataclass
class Soak:
    """What the slices came to.

    Attributes:
        resident_mib: after each slice.
        outcomes: how the runs ended.
        records: how many trace records they left.
    """

    before: Holding
    after: Holding
    seconds: float = 0.0
    resident_mib: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    records: int = 0
    root_spans: int = 0

    @property
    def warm_up_slices(self) -> int:
        """How many slices are not judged."""
        return max(1, round(WARM_UP * len(self.resident_mib)))

    @property
    def base_mib(self) -> float:
        """The median of the first three slices behind the warm-up."""
        return median(self.resident_mib[self.warm_up_slices :][:3])

    @property
    def change(self) -> float:
        """The largest change from there, as a fraction of it."""
        later = self.resident_mib[self.warm_up_slices :]
        return max((mib / self.base_mib - 1 for mib in later), key=abs)

    def problems(self) -> Iterator[str]:
        """What is not as it should be."""
        streams = self.outcomes.total()
        if abs(self.change) > MOST_CHANGE:
            yield f"resident memory changed by {self.change:+.1%} after the warm-up"
        if (self.records, self.root_spans) != (streams, streams):
            yield f"{self.records} records and {self.root_spans} root spans of {streams} runs"
        yield from self.after.left_since(self.before)


def plan_mix(seed: int) -> PlanMix:
    """Answers at top speed, some of which fail."""
    plan = Plan(ttft_s=0.0, inter_token_s=0.0, tokens=TOKENS, seed=seed)
    paced = msgspec.structs.replace(plan, inter_token_s=0.005)
    faulty = [msgspec.structs.replace(plan, faults=(fault,)) for fault in FAULTS]
    weights = (1 - PACED - FAULTY, PACED, *[FAULTY / len(faulty)] * len(faulty))
    return PlanMix(plans=(plan, paced, *faulty), weights=weights, seed=seed)


async def run_soak(streams: int, concurrent: int, per_slice: int, seed: int) -> Soak:
    """All slices, one after the other."""
    exporter = CountingExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with SimulatorProcess(plan_mix(seed)) as simulator:
        before = Holding.now()
        soak = Soak(before, before)
        started = time.perf_counter()

        def keep(record: RunRecord) -> None:
            soak.records += 1
            soak.outcomes[str(record.outcome)] += 1

        telemetry = TraceEmitter(OTelTelemetry(provider), keep)
        connections = {way.name: way.connect(simulator.url, telemetry, TIMEOUTS) for way in WAYS}
        for first in range(0, streams, per_slice):
            await _run_slice(connections, range(first, first + per_slice), concurrent, seed)
            soak.resident_mib.append(resident_mib(trim=False))
        for connection in connections.values():
            await connection.aclose()
        soak.seconds = time.perf_counter() - started
        soak.root_spans = exporter.roots
        del connections
        await asyncio.sleep(0.5)
        soak.after = Holding.now()
    return soak


async def _run_slice(
    connections: Mapping[str, Connection], numbers: range, concurrent: int, seed: int
) -> None:
    left = iter(numbers)

    async def work() -> None:
        for number in left:
            await _run_one(connections, Random(f"soak:{seed}:{number}"))

    await asyncio.gather(*(work() for _ in range(concurrent)))


async def _run_one(connections: Mapping[str, Connection], random: Random) -> None:
    way = random.choice(WAYS)
    manner = random.choice(MANNERS)
    stop = random.randrange(1, TOKENS)
    try:
        async with connections[way.name].run(way.payload) as run:
            for seen in count(1):
                try:
                    await anext(run)
                except StopAsyncIteration:
                    return
                if seen == stop and manner == "leaves":
                    return
                if seen == stop and manner == "cancels":
                    run.cancel()
    except StreamError:
        return  # its record says which


@click.command()
@click.option("--streams", default=60_000, show_default=True, help="In all.")
@click.option("--concurrent", default=150, show_default=True, help="Streams at once.")
@click.option("--slice", "per_slice", default=2_000, show_default=True, help="Between samples.")
@click.option("--seed", default=0, show_default=True, help="Decides faults, APIs and readers.")
def main(streams: int, concurrent: int, per_slice: int, seed: int) -> None:
    """Run short streams and say whether memory stays flat."""
    soak = asyncio.run(run_soak(streams, concurrent, per_slice, seed))
    samples = " ".join(f"{mib:.1f}" for mib in soak.resident_mib)
    ends = ", ".join(f"{count} {name}" for name, count in soak.outcomes.most_common())
    click.echo(
        f"{soak.outcomes.total()} streams in {soak.seconds:.0f} s, {concurrent} at once: {ends}"
    )
    click.echo(f"resident memory after every {per_slice} streams, MiB: {samples}")
    click.echo(
        f"warm-up {soak.warm_up_slices} slices; from {soak.base_mib:.1f} MiB then it changed by"
        f" {soak.change:+.2%} at most"
    )
    before, after = soak.before, soak.after
    click.echo(
        f"tasks {before.tasks} -> {after.tasks}, sockets {before.sockets} -> {after.sockets},"
        f" file descriptors {len(before.descriptors)} -> {len(after.descriptors)};"
        f" {soak.records} trace records, {soak.root_spans} root spans"
    )
    problems = list(soak.problems())
    for problem in problems:
        click.echo(problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
