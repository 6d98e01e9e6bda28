"""Do the reported intervals hold the true percentiles? Asks the simulator, which knows them.

    python -m benchmarks.ground_truth [--runs 100] [--requests 100] [--ttft constant]

The simulator draws each time to first token from a set distribution. Many benchmarks are run, and
it is counted how often the interval of a reported percentile holds the true one. With 95 %
intervals, 95 of 100 should. There are three truths:

- *sent*: percentiles of what the server really did, by the stamps in its ledger, all runs together;
- *own*: the same of the very run. No sampling is in between: an interval that holds it and not the
  former met a server that had changed. What is missed was late between the server's stamps and the
  harness's: the harness itself, or a server that read the request late, as the ledger begins there;
- *set*: percentiles of the distribution itself. The server's timers are up to 1 ms late, and more
  on a busy machine, so that what was set is never quite what is sent; it shows where all requests
  are set to the same time.

Lower bounds are widened by the harness's own share, as in every report made with calibration. A p99
has an upper bound from 368 requests on; with fewer, only its lower bound is tested.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.request import Request, urlopen

import click
import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.load_tools.cores import TOOLS_CORE, on_core, simulator_apart
from tokenline_bench.config import Bench, ClosedLoop, Endpoint, FixedPrompt
from tokenline_bench.load.generator import ALL, Level
from tokenline_bench.report import LevelReport
from tokenline_bench.results import LevelResult
from tokenline_bench.statistics import Percentile
from tokenline_bench.statistics.order import rank
from tokenline_bench.summary.build import summarize_level
from tokenline_bench.workers.worker import Worker
from tokenline_stages.simulator import Bimodal, LogNormal, Pareto, Plan, SimulatorProcess

Truth: TypeAlias = float | Bimodal | LogNormal | Pareto

DISTRIBUTIONS: dict[str, Truth] = {
    "constant": 0.03,
    "bimodal": Bimodal(fast_s=0.02, slow_s=0.06, slow_share=0.3),
    "log-normal": LogNormal(median_s=0.03, sigma=0.5),
    "heavy tail": Pareto(minimum_s=0.02, alpha=2.5, maximum_s=2.0),
}
PERCENTILES = (0.5, 0.9, 0.95, 0.99)
CONCURRENCY = 3


def true_ns(distribution: Truth, p: float) -> float:
    """The true percentile."""
    if isinstance(distribution, float):
        return distribution * 1e9
    return distribution.quantile(p) * 1e9


class Prober:
    """Runs small benchmarks of one distribution, all with the same calibration."""

    def __init__(
        self, simulator: SimulatorProcess, plan: Plan, requests: int, confidence: float
    ) -> None:
        endpoint = Endpoint(
            model="m",
            base_url=simulator.openai_base_url,
            api_key="right",
            body={"tokenline_plan": msgspec.to_builtins(plan)},
        )
        self._requests = requests
        self._bench = Bench(
            endpoints=(endpoint,),
            work=FixedPrompt(text="hello"),
            requests=requests,
            confidence=confidence,
            calibrate=True,
        )
        self._result: LevelResult | None = None
        self._worker = Worker(self._bench, ALL, self._note)
        self.own: tuple[int, ...] = ()

    def _note(self, sample: object) -> None:
        if self._result is not None:
            self._result.samples.append(sample)  # type: ignore[arg-type]

    async def prepare(self, own: tuple[int, ...] | None = None) -> None:
        """Calibrate, unless that was done, and open the connections."""
        prepared = await self._worker.prepare(own is None)
        self.own = prepared.own_ns if own is None else own
        await self.measure()

    async def measure(self) -> LevelReport:
        """One benchmark."""
        load = ClosedLoop(concurrency=CONCURRENCY)
        level = Level(number=0, load=load, start_ns=time.perf_counter_ns(), requests=self._requests)
        self._result = LevelResult(level, time.time_ns())
        self._result.workers = [await self._worker.run_level(level)]
        return summarize_level(self._result, self._bench, self.own)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._worker.aclose()


@dataclass
class Runs:
    """What many benchmarks of one distribution found.

    Attributes:
        intervals: percentile to the interval of each run.
        sent_ns: what the server did, every request of each run.
    """

    intervals: dict[float, list[Percentile]] = field(default_factory=lambda: defaultdict(list))
    sent_ns: list[list[int]] = field(default_factory=list)

    def sent(self, p: float) -> float:
        """The percentile that the server really had."""
        return _percentile([value for run in self.sent_ns for value in run], p)

    def held(self, p: float, truth_ns: float) -> int:
        """How many intervals hold it."""
        return sum(_holds(found, truth_ns) for found in self.intervals[p])

    def missed(self, p: float, truth_ns: float) -> tuple[int, int]:
        """How many intervals lie wholly below it, and above it."""
        found = self.intervals[p]
        below = sum(each.high is not None and each.high < truth_ns for each in found)
        return below, sum(each.low is not None and each.low > truth_ns for each in found)

    def held_own(self, p: float) -> int:
        """How many intervals hold the percentile of what the server did in their own run."""
        runs = zip(self.intervals[p], self.sent_ns, strict=True)
        return sum(_holds(found, _percentile(sent, p)) for found, sent in runs)


def _percentile(values: list[int], p: float) -> float:
    return sorted(values)[rank(len(values), p) - 1]


def _holds(found: Percentile, truth_ns: float) -> bool:
    above = found.low is None or found.low <= truth_ns
    return above and (found.high is None or truth_ns <= found.high)


async def run_many(
    simulator: SimulatorProcess,
    distribution: Truth,
    runs: int,
    requests: int,
    *,
    confidence: float = 0.95,
    own: tuple[int, ...] | None = None,
) -> Runs:
    """Benchmark one distribution many times; `own` is what a calibration found."""
    found = Runs()
    plan = Plan(ttft_s=distribution, inter_token_s=0.0, tokens=1)
    prober = Prober(simulator, plan, requests, confidence)
    await prober.prepare(own)
    for _ in range(runs):
        urlopen(Request(f"{simulator.url}/ledger", method="DELETE")).close()
        report = await prober.measure()
        for p in PERCENTILES:
            found.intervals[p].append(report.endpoint().metrics["ttft"].at(p))
        found.sent_ns.append(read_sent(simulator.url))
    await prober.aclose()
    return found


def read_sent(url: str) -> list[int]:
    """From the arrival of each request to its first token, by the server's ledger."""
    with urlopen(f"{url}/ledger") as response:
        ids = [entry["request_id"] for entry in msgspec.json.decode(response.read())]
    return [_sent(url, request_id) for request_id in ids]


def _sent(url: str, request_id: str) -> int:
    with urlopen(f"{url}/ledger/{request_id}") as response:
        entry = msgspec.json.decode(response.read())
    return int(entry["token_ns"][0] - entry["received_ns"])


@click.command()
@click.option("--runs", default=100, show_default=True)
@click.option("--requests", default=100, show_default=True)
@click.option(
    "--ttft",
    "names",
    type=click.Choice(list(DISTRIBUTIONS)),
    multiple=True,
    default=tuple(DISTRIBUTIONS),
    help="Only this distribution; may be given again.",
)
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write the counts here.")
def main(runs: int, requests: int, names: tuple[str, ...], path: Path | None) -> None:
    """Count how often 95 % intervals of the TTFT hold the simulator's true percentiles."""
    with suppress(PermissionError):  # the simulator inherits it: other work must not come between
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    table = Table(title=f"of {runs} intervals, how many held the true percentile")
    headings = (
        *("TTFT", "", "set (ms)", "sent (ms)"),
        *("held sent", "below, above it", "held own", "held set"),
    )
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "TTFT" else "right")
    counts = []
    for name in names:
        distribution = DISTRIBUTIONS[name]
        with simulator_apart(Plan()) as simulator, on_core(TOOLS_CORE):
            found = asyncio.run(run_many(simulator, distribution, runs, requests))
        for p in PERCENTILES:
            set_ns, sent_ns = true_ns(distribution, p), found.sent(p)
            held = found.held(p, sent_ns), found.held_own(p), found.held(p, set_ns)
            below, above = found.missed(p, sent_ns)
            times = f"{set_ns / 1e6:.2f}", f"{sent_ns / 1e6:.2f}"
            shown = (str(held[0]), f"{below}, {above}", *map(str, held[1:]))
            table.add_row(name, f"p{p * 100:g}", *times, *shown)
            row = {"ttft": name, "p": p, "set_ms": set_ns / 1e6, "sent_ms": sent_ns / 1e6}
            held_of = dict(zip(("sent", "own", "set"), held, strict=True))
            missed = {"below": below, "above": above}
            counts.append({**row, "held": held_of, "missed_sent": missed, "runs": runs})
        table.add_section()
        if path is not None:
            path.write_bytes(msgspec.json.encode(counts))
    Console().print(table)


if __name__ == "__main__":
    main()
