"""Runs many streams at once and checks each of them, and what they leave."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from urllib.parse import quote

import aiohttp
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tokenline.events import TextDelta
from tokenline.policy import Timeouts
from tokenline.record import RunRecord
from tokenline.run import Run
from tokenline.telemetry import OTelTelemetry
from tokenline.telemetry.attributes import MESSAGE_ID
from tokenline_stages import Connection
from tokenline_stages.simulator import Plan, PlanMix, SimulatorProcess
from tokenline_stages.trace_emitter import TraceEmitter

from .leftovers import Holding
from .oracle import Entry, Seen, judge
from .ways import IN_TIME_S, TIMEOUTS, TOKENS, WAYS, plan_mix

MANNERS = ("to the end",) * 8 + ("leaves", "cancels")
"""What readers do."""

_REST_S = 0.3
"""For sockets that are being closed, on both sides."""


@dataclass
class Report:
    """What a pass came to.

    Attributes:
        slowest_s: the longest of its runs.
        outcomes: how many runs of each fault ended in each way.
    """

    streams: int
    before: Holding
    after: Holding
    seconds: float = 0.0
    slowest_s: float = 0.0
    records: int = 0
    root_spans: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


class Chaos:
    """One simulator, and what its streams leave behind."""

    def __init__(
        self,
        simulator: SimulatorProcess,
        mix: PlanMix,
        concurrent: int,
        seed: int,
        timeouts: Timeouts = TIMEOUTS,
    ) -> None:
        self._simulator = simulator
        self._mix = mix
        self._concurrent = concurrent
        self._seed = seed
        self._timeouts = timeouts
        self._records: list[RunRecord] = []
        self._spans = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self._telemetry = TraceEmitter(OTelTelemetry(provider), self._records.append)

    async def run_pass(self, number: int, streams: int) -> Report:
        """So many streams; checks each of them and what is left afterwards."""
        before = Holding.now()
        report = Report(streams, before, before)
        started = time.perf_counter()
        all_seen = await self._run_all(number, streams)
        report.seconds = time.perf_counter() - started
        report.slowest_s = max(seen.took_s for seen in all_seen)
        await asyncio.sleep(_REST_S)
        await self._judge_all(all_seen, report)
        self._judge_traces(all_seen, report)
        del all_seen
        await asyncio.sleep(_REST_S)
        report.after = Holding.now()
        report.problems.extend(report.after.left_since(before))
        return report

    async def _run_all(self, number: int, streams: int) -> list[Seen]:
        connections = {
            way.name: way.connect(self._simulator.url, self._telemetry, self._timeouts)
            for way in WAYS
        }
        for connection in connections.values():
            await connection.pipeline().source.prepare()  # imports, which no limit waits for
        gate = asyncio.Semaphore(self._concurrent)

        async def run_one(index: int) -> Seen:
            async with gate:
                return await self._run(connections, number, index)

        all_seen = await asyncio.gather(*(run_one(index) for index in range(streams)))
        for connection in connections.values():
            await connection.aclose()
        return all_seen

    async def _run(self, connections: Mapping[str, Connection], number: int, index: int) -> Seen:
        random = Random(f"{self._seed}:{number}:{index}")
        way = random.choice(WAYS)
        seen = Seen(f"chaos-{self._seed}-{number}-{index}", way, random.choice(MANNERS))
        run = connections[way.name].run(way.payload, headers={"x-request-id": seen.request_id})
        started = time.perf_counter()
        try:
            async with asyncio.timeout(2 * IN_TIME_S):
                await _use(run, seen, random)
        except TimeoutError:
            seen.error = TimeoutError("the run hangs")
        except Exception as error:
            seen.error = error
        seen.took_s = time.perf_counter() - started
        seen.outcome = run.outcome
        seen.error = seen.error or run.error
        seen.text = run.snapshot().text
        seen.message_id = run.message_id
        return seen

    async def _judge_all(self, all_seen: list[Seen], report: Report) -> None:
        async with aiohttp.ClientSession() as session:
            for seen in all_seen:
                url = f"{self._simulator.url}/ledger/{quote(seen.request_id)}"
                async with session.get(url) as answer:
                    entry = await answer.json() if answer.status == 200 else None
                plan = self._mix.choose(entry["number"]) if entry is not None else None
                fault = _name(plan)
                ended = type(seen.error).__name__ if seen.error is not None else "-"
                report.outcomes[f"{fault} -> {seen.outcome} {ended}"] += 1
                problem = judge(seen, entry, plan)
                if problem is not None:
                    report.problems.append(_describe(seen, fault, entry, problem))

    def _judge_traces(self, all_seen: list[Seen], report: Report) -> None:
        wanted = Counter((seen.message_id, seen.outcome) for seen in all_seen)
        report.records = len(self._records)
        if Counter((r.info.message_id, r.outcome) for r in self._records) != wanted:
            report.problems.append(f"{report.records} records do not match {len(all_seen)} runs")
        roots = [span for span in self._spans.get_finished_spans() if span.parent is None]
        report.root_spans = len(roots)
        ids = Counter((span.attributes or {}).get(MESSAGE_ID) for span in roots)
        if ids != Counter(seen.message_id for seen in all_seen):
            report.problems.append(f"{len(roots)} root spans do not match {len(all_seen)} runs")
        self._records.clear()
        self._spans.clear()


async def _use(run: Run, seen: Seen, random: Random) -> None:
    if seen.manner == "cancels":
        asyncio.get_running_loop().call_later(random.uniform(0.0, 0.3), run.cancel)
    count = random.randrange(1, TOKENS)
    async with run:
        async for event in run:
            if isinstance(event, TextDelta):
                seen.read += event.text
            count -= 1
            if not count and seen.manner == "leaves":
                return


def _name(plan: Plan | None) -> str:
    if plan is None:
        return "not sent"
    return str(plan.faults[0].__struct_config__.tag) if plan.faults else "none"


def _describe(seen: Seen, fault: str, entry: Entry | None, problem: str) -> str:
    ended = "" if entry is None else f", sent {entry['events']} events, {entry['outcome']}"
    return f"{seen.way.name}, {seen.manner}, {fault}{ended}: {problem}"


async def run_chaos(
    streams: int, concurrent: int, seed: int, passes: int, *, warm_up: bool = True
) -> list[Report]:
    """All passes against one simulator; the warm-up is none of them."""
    mix = plan_mix(seed)
    with SimulatorProcess(mix) as simulator:
        chaos = Chaos(simulator, mix, concurrent, seed)
        if warm_up:
            await chaos.run_pass(0, streams)
        return [await chaos.run_pass(number, streams) for number in range(1, passes + 1)]
