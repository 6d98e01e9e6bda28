"""What a stall of the server looks like in an open and in a closed loop.

    python -m benchmarks.coordinated_omission [--stall 2]

The simulator answers in 20 ms and stalls once: it neither reads nor answers anything
meanwhile. The open loop sends 50 requests a second whatever happens, so that 100 of them fall into
a stall of 2 s: its percentiles from the schedule must show it, also where at most eight requests
may be under way. The closed loop's two users wait with the server: two requests meet the stall,
those they could not send are missing, and the report says so.
"""

from __future__ import annotations

import threading
from urllib.request import Request, urlopen

import click
import msgspec
from rich.console import Console
from rich.table import Table

from tokenline_bench import ClosedLoop, Endpoint, FixedPrompt, OpenLoop, measure
from tokenline_bench.config import Load
from tokenline_bench.report import LevelReport
from tokenline_stages.simulator import Plan, SimulatorProcess

DURATION_S = 6.0
RATE = 50
LOADS: tuple[tuple[str, Load, tuple[str, ...]], ...] = (
    ("open loop", OpenLoop(rate_per_s=RATE, arrivals="constant"), ("ttft_scheduled",)),
    (
        "open loop, 8 at once",
        OpenLoop(rate_per_s=RATE, arrivals="constant", max_concurrency=8),
        ("ttft_scheduled", "ttft"),
    ),
    ("closed loop, 2 users", ClosedLoop(concurrency=2), ("ttft",)),
)


def measure_stall(simulator: SimulatorProcess, load: Load, stall_s: float) -> LevelReport:
    """One level; the server stalls after a third of it."""
    body = msgspec.json.encode({"seconds": stall_s})
    request = Request(f"{simulator.url}/stall", data=body, method="POST")
    stall = threading.Timer(DURATION_S / 3, lambda: urlopen(request).close())
    stall.start()
    try:
        report = measure(
            Endpoint(model="m", base_url=simulator.openai_base_url, api_key="any"),
            work=FixedPrompt(text="hello"),
            load=(load,),
            duration_s=DURATION_S,
            warmup=8,
        )
    finally:
        stall.join()
    return report.levels[0]


@click.command()
@click.option("--stall", "stall_s", default=2.0, show_default=True, help="Seconds.")
def main(stall_s: float) -> None:
    """Show what a stall does to percentiles of open and closed loops."""
    console = Console()
    table = Table(title=f"one stall of {stall_s:g} s in {DURATION_S:g} s (ms)")
    for heading in ("load", "metric", "p50", "p90", "p99", "max", "outcomes"):
        words = heading in ("load", "metric", "outcomes")
        table.add_column(heading, justify="left" if words else "right", no_wrap=not words)
    notes: dict[str, None] = {}
    with SimulatorProcess(Plan(ttft_s=0.02, inter_token_s=0.0, tokens=1)) as simulator:
        for title, load, metrics in LOADS:
            level = measure_stall(simulator, load, stall_s)
            for metric in metrics:
                found = level.endpoint().metrics[metric]
                times = (*(found.at(p).value for p in (0.5, 0.9, 0.99)), found.maximum)
                shown = (f"{value / 1e6:.1f}" for value in times)
                outcomes = (f"{n} {name}" for name, n in level.endpoint().outcomes.items())
                table.add_row(title, metric, *shown, ", ".join(outcomes))
            notes.update(dict.fromkeys(level.notes))
    console.print(table, *notes, sep="\n")


if __name__ == "__main__":
    main()
