"""Every row of the table, interleaved, with what it was measured on.

    python -m benchmarks.peers [--quick] [--rows batch,paced] [--clients floor,tokenline]
    python -m benchmarks.peers --write-docs [--out DIR] [--again DIR]

The first run makes an environment for each peer. Figures of the rows measured are put into
`OUT/results.json` beside those of other rows, so that a run can be made in parts; tables and
charts are made from that file. CPU is process time, user and system, all threads; clients run on
one core and the server on another.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path

import click

from benchmarks.clients.contract import ClientSpec
from benchmarks.environments import DEFAULT_FOLDER, ROOT
from benchmarks.sender import SenderProcess

from .machine import describe_machine
from .output import write_all, write_docs
from .processes import Processes, cores
from .results import Results
from .roster import CLIENTS, FLOOR, environment
from .rows import ROWS, Bench
from .settings import QUICK, Settings
from .two_cores import scaling_two

ALL_ROWS = {**ROWS, "scaling_two": scaling_two}


class Names(click.ParamType[list[str]]):
    """Names from a list, separated by semicolons or commas."""

    name = "names"

    def __init__(self, known: dict[str, object]) -> None:
        self._known = list(known)

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[str]:
        """Check them."""
        if isinstance(value, list):
            return value
        text = str(value)
        found = [name.strip() for name in text.split(";" if ";" in text else ",")]
        for name in found:
            if name not in self._known:
                self.fail(f"no {name!r}; there are {'; '.join(self._known)}", param, ctx)
        return found


@click.command()
@click.option("--quick", is_flag=True, help="Small sizes, one round: does it run?")
@click.option("--rows", type=Names(dict(ALL_ROWS)), default=list(ALL_ROWS), help="Only these.")
@click.option("--clients", type=Names(dict(CLIENTS)), default=list(CLIENTS), help="Only these.")
@click.option("--environments", type=click.Path(path_type=Path), default=DEFAULT_FOLDER)
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "out" / "peers")
@click.option("--write-docs", "only_docs", is_flag=True, help="Put OUT's tables into docs; no run.")
@click.option(
    "--again",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="With --write-docs: the folder of a second run, to stand beside the first.",
)
@click.option("--install", "only_install", is_flag=True, help="Make the environments; no run.")
def main(
    quick: bool,
    rows: list[str],
    clients: list[str],
    environments: Path,
    out: Path,
    only_docs: bool,
    again: Path | None,
    only_install: bool,
) -> None:
    """Measure tokenline beside its peers and the floor."""
    results = Results.load(out)
    if only_docs:
        write_docs(results, None if again is None else Results.load(again))
        return
    names = [name for name in CLIENTS if name in clients or name == FLOOR]
    versions = install(names, environments)
    if only_install:
        return
    results.begin(describe_machine(), versions, quick)
    try:
        asyncio.run(run(names, rows, QUICK if quick else Settings(), environments, results))
    finally:
        write_all(results, out)


def install(names: list[str], folder: Path) -> dict[str, dict[str, str]]:
    """Make the environments; gives `{environment: {package: version}}`."""
    versions = {}
    for name in dict.fromkeys(CLIENTS[name].environment for name in names):
        made = environment(name, folder)
        made.make()
        versions[name] = made.versions()
    return versions


async def run(
    names: list[str], rows: list[str], settings: Settings, environments: Path, results: Results
) -> None:
    """Measure the rows, saving each when it is there."""
    core, server_core = cores()
    # The server of the two processes runs where they leave it room.
    shared = [row for row in rows if row == "scaling_two"]
    apart = [row for row in rows if row not in shared]
    for group, server in ((apart, server_core), (shared, None)):
        if not group:
            continue
        with SenderProcess(core=server, tls=True) as sender:
            processes = Processes(partial(python_of, environments), sender, core)
            try:
                for row in group:
                    specs = [CLIENTS[name] for name in names]
                    await measure(
                        row, Bench(processes, specs, settings, partial(say, row)), results
                    )
            finally:
                await processes.stop()


def python_of(folder: Path, spec: ClientSpec) -> str:
    """The interpreter of a client's environment."""
    return environment(spec.environment, folder).python


async def measure(row: str, bench: Bench, results: Results) -> None:
    """One row."""
    started = time.monotonic()
    figures = await ALL_ROWS[row](bench)
    say(row, f"{time.monotonic() - started:.0f} s")
    for name, reason in bench.failures.items():
        say(row, f"{name} failed: {reason}")
    results.put(row, figures, bench.failures)


def say(row: str, text: str) -> None:
    """Tell what is under way."""
    click.echo(f"{time.strftime('%H:%M:%S')}  {row}: {text}")


if __name__ == "__main__":
    main()
