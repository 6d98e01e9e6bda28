"""`python -m benchmarks.chaos`."""

from __future__ import annotations

import asyncio
import sys

import click

from .passes import Report, run_chaos


@click.command()
@click.option("--streams", default=2000, show_default=True, help="Streams in each pass.")
@click.option("--concurrent", default=200, show_default=True, help="Streams at once.")
@click.option("--seed", default=0, show_default=True, help="Decides faults, APIs and readers.")
@click.option("--passes", default=2, show_default=True, help="How often.")
def main(streams: int, concurrent: int, seed: int, passes: int) -> None:
    """Run streams through every fault and say what did not end as it should."""
    reports = asyncio.run(run_chaos(streams, concurrent, seed, passes))
    for outcome, count in sorted(reports[-1].outcomes.items()):
        click.echo(f"{count:6}  {outcome}")
    for number, report in enumerate(reports, 1):
        _show(number, report, concurrent)
    grown = reports[-1].after.grown_since(reports[0].after)
    if grown is not None:
        click.echo(grown)
    sys.exit(1 if grown or any(report.problems for report in reports) else 0)


def _show(number: int, report: Report, concurrent: int) -> None:
    before, after = report.before, report.after
    click.echo(
        f"pass {number}: {report.streams} streams in {report.seconds:.1f} s, {concurrent} at once,"
        f" the slowest took {report.slowest_s:.1f} s; {report.records} trace records,"
        f" {report.root_spans} root spans; tasks {before.tasks} -> {after.tasks},"
        f" sockets {before.sockets} -> {after.sockets},"
        f" descriptors {len(before.descriptors)} -> {len(after.descriptors)};"
        f" {after.resident_mib:.1f} MiB resident, {after.blocks:,} blocks;"
        f" {len(report.problems)} problems"
    )
    for problem in report.problems[:40]:
        click.echo(f"  {problem}")


if __name__ == "__main__":
    main()
