"""Runs a benchmark from the command line: progress, Ctrl-C, files, exit codes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from tokenline.errors import StreamError
from tokenline_bench.config import Bench
from tokenline_bench.output.console import print_report
from tokenline_bench.output.jsonl import RequestWriter
from tokenline_bench.output.live import LiveProgress
from tokenline_bench.output.observers import Observers, RequestLog
from tokenline_bench.output.otlp import OtlpExport, is_configured
from tokenline_bench.output.plain import plain
from tokenline_bench.output.save import Files, save_report
from tokenline_bench.report import Report
from tokenline_bench.session import Observer, Session
from tokenline_bench.summary.build import build_report
from tokenline_stages.http.address import check_address

from .interrupts import Interrupts
from .planning import plan_bench, plan_files

EXIT_INTERRUPTED = 130
_PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"


def run(options: dict[str, Any]) -> None:
    """Measure, show, save; exits with 130 after Ctrl-C.

    Raises:
        ConfigError: a mistake in the options.
        StreamError: an endpoint does not answer as it should, or no request ended well.
    """
    bench = plan_bench(options)
    files = plan_files(options)
    if options["otlp"]:
        if not os.environ.get(_PROTOCOL, "").startswith("grpc"):  # which needs no scheme
            check_address(options["otlp"], "--otlp")
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = options["otlp"]
    telemetry = OtlpExport(bench.title or bench.endpoints[0].name) if is_configured() else None
    finished = _Finished()
    try:
        with Interrupts() as interrupts:
            _measure(bench, files, options["quiet"], telemetry, interrupts, finished)
    finally:
        if finished.report is not None and not options["quiet"]:
            _show(finished.report, finished.written)
        if telemetry is not None:
            telemetry.finish(finished.report)
    _exit(finished.report, interrupts.count > 0)


@dataclass
class _Finished:
    """What there is to show: the report, and the files that hold it."""

    report: Report | None = None
    written: list[Path] = field(default_factory=list)


def _measure(
    bench: Bench,
    files: Files,
    quiet: bool,
    telemetry: OtlpExport | None,
    interrupts: Interrupts,
    finished: _Finished,
) -> None:
    """Run, then save what was measured, however the run ended."""
    with ExitStack() as stack:
        observers = list(_observers(files, quiet, stack))
        if telemetry is not None:
            observers.append(telemetry)
        session = Session(bench, Observers(observers))
        try:
            asyncio.run(_run(session, interrupts))
        finally:
            stack.close()
            if any(level.samples for level in session.results.levels):
                finished.report = build_report(session.results)
                finished.written = save_report(finished.report, files, session.results)
                if files.jsonl is not None:
                    finished.written.append(files.jsonl)


def _observers(files: Files, quiet: bool, stack: ExitStack) -> Iterator[Observer]:
    if files.jsonl is not None:
        yield RequestLog(stack.enter_context(RequestWriter(files.jsonl)))
    if not quiet:
        yield stack.enter_context(LiveProgress(Console(stderr=True)))


async def _run(session: Session, interrupts: Interrupts) -> None:
    """Run to the end; Ctrl-C ends it early, before the first request or a second time at once."""
    running = asyncio.ensure_future(session.run())
    tasks: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        results = session.results
        if results.interrupted or (results.warmup is None and not results.levels):
            results.interrupted = True
            running.cancel()
            return
        task = loop.create_task(session.interrupt())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    interrupts.attach(loop, interrupt)
    try:
        await running
    except asyncio.CancelledError:
        if not session.results.interrupted:
            raise
    finally:
        interrupts.detach()


def _show(report: Report, written: list[Path]) -> None:
    console = Console()
    print_report(report, console)
    if written:
        console.print(plain("written: " + ", ".join(map(str, written))), soft_wrap=True)


def _exit(report: Report | None, interrupted: bool) -> None:
    if report is None:
        print("interrupted: nothing had been measured", file=sys.stderr)
    if report is None or report.interrupted or interrupted:
        sys.exit(EXIT_INTERRUPTED)
    names = dict.fromkeys(e.endpoint for level in report.levels for e in level.endpoints)
    dead = [name for name in names if not _answers(report, name)]
    if not dead:
        return
    errors = [error for level in report.levels for error in level.endpoint(dead[0]).errors]
    first = f": {errors[0].count} x {errors[0].example}" if errors else ""
    place = f" of {', '.join(dead)}" if len(names) > 1 else ""
    raise StreamError(f"no request{place} ended well{first}")


def _answers(report: Report, name: str) -> bool:
    """Whether a request of that endpoint ended well at any level."""
    return any(level.endpoint(name).outcomes.get("ok") for level in report.levels)
