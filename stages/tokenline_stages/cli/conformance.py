"""`tokenline conformance`: recorded responses beside what they are known to hold."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tokenline.errors import ConfigError
from tokenline_stages.conformance import Depth, Recording, recordings
from tokenline_stages.conformance.check import FULL, QUICK, Report
from tokenline_stages.conformance.report import as_json, failure_line, summary_line
from tokenline_stages.conformance.run import check_all


@click.command()
@click.argument("folder", metavar="DIR", type=Path)
@click.option("--filter", "pattern", metavar="PATTERN", help="Glob, or a part of the name.")
@click.option("--json", "report_file", metavar="FILE", help="Write a report; - for stdout.")
@click.option("--no-http", is_flag=True, help="Leave out the reading over HTTP.")
@click.option("--quick", is_flag=True, help="A few cuts instead of many.")
def command(
    folder: Path, pattern: str | None, report_file: str | None, no_http: bool, quick: bool
) -> None:
    """Check that the recorded responses in DIR are read exactly.

    Every NAME.json names an API and a body; NAME.expected.json says what the body holds. Each is
    read whole, cut at random places, byte by byte (up to 64 KiB) and over HTTP from the
    simulator; all readings must agree, and the first with the expectation. One line for each
    failure, then `N passed, N failed`; exits with 1 if any failed.
    """
    found = recordings(folder, pattern)
    if not found:
        raise ConfigError(f"no recording in {folder} matches {pattern!r}")
    depth = QUICK if quick else FULL
    depth = Depth(depth.seeds, depth.every_byte_up_to, http=not no_http)
    started_s = time.perf_counter()
    reports = asyncio.run(_check(found, depth, to_stderr=report_file == "-"))
    duration_s = time.perf_counter() - started_s
    click.echo(summary_line(reports), err=report_file == "-")
    if report_file is not None:
        _write(report_file, reports, duration_s)
    sys.exit(1 if any(report.failures for report in reports) else 0)


async def _check(found: list[Recording], depth: Depth, *, to_stderr: bool) -> list[Report]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("recordings", total=len(found))

        def done(report: Report) -> None:
            progress.advance(task)
            for failure in report.failures:
                line = failure_line(failure)
                if progress.disable or not sys.stdout.isatty():
                    click.echo(line, err=to_stderr)
                else:
                    progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

        return await check_all(found, depth, done)


def _write(report_file: str, reports: list[Report], duration_s: float) -> None:
    text = msgspec.json.format(msgspec.json.encode(as_json(reports, duration_s)), indent=2)
    if report_file == "-":
        click.echo(text)
        return
    try:
        Path(report_file).write_bytes(text + b"\n")
    except OSError as error:
        raise ConfigError(f"cannot write {report_file}: {error.strerror}") from error
