"""Runs a benchmark from the command line: progress, Ctrl-C, files, exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from rich.console import Console

from tokenline.errors import StreamError
from tokenline_bench.config import Bench
from tokenline_bench.output.console import print_report
from tokenline_bench.output.jsonl import RequestWriter
from tokenline_bench.output.live import LiveProgress
from tokenline_bench.output.observers import Observers, RequestLog
from tokenline_bench.output.otlp import OtlpExport, is_configured
from tokenline_bench.output.save import Files, save_report
from tokenline_bench.report import Report
from tokenline_bench.session import Observer, Session
from tokenline_bench.summary.build import build_report

from .planning import plan_bench, plan_files

EXIT_INTERRUPTED = 130


def run(options: dict[str, Any]) -> None:
    """Measure, show, save; exits with 130 after Ctrl-C.

    Raises:
        ConfigError: a mistake in the options.
        StreamError: an endpoint does not answer as it should, or no request ended well.
    """
    bench = plan_bench(options)
    files = plan_files(options)
    if options["otlp"]:
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = options["otlp"]
    console = Console()
    with ExitStack() as stack:
        telemetry = OtlpExport(bench.title or bench.endpoints[0].name) if is_configured() else None
        observers = list(_observers(files, options["quiet"], stack))
        if telemetry is not None:
            observers.append(telemetry)
        session = Session(bench, Observers(observers))
        report: Report | None = None
        try:
            asyncio.run(_run(session))
        finally:
            stack.close()
            if any(level.samples for level in session.results.levels):
                report = _finish(session, bench, files, console, options["quiet"])
            if telemetry is not None:
                telemetry.finish(report)
    _exit(report)


def _observers(files: Files, quiet: bool, stack: ExitStack) -> Iterator[Observer]:
    if files.jsonl is not None:
        yield RequestLog(stack.enter_context(RequestWriter(files.jsonl)))
    if not quiet:
        yield stack.enter_context(LiveProgress(Console(stderr=True)))


async def _run(session: Session) -> None:
    """Run to the end; Ctrl-C ends it early, a second one at once."""
    running = asyncio.ensure_future(session.run())
    tasks: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        if session.results.interrupted:
            running.cancel()
            return
        task = loop.create_task(session.interrupt())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    with contextlib.suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGINT, interrupt)
        loop.add_signal_handler(signal.SIGTERM, interrupt)
    try:
        await running
    except asyncio.CancelledError:
        if not session.results.interrupted:
            raise


def _finish(session: Session, bench: Bench, files: Files, console: Console, quiet: bool) -> Report:
    report = build_report(session.results)
    if not quiet:
        print_report(report, console)
    written = save_report(report, files, session.results)
    if files.jsonl is not None:
        written.append(files.jsonl)
    if written and not quiet:
        console.print("written: " + ", ".join(map(str, written)), highlight=False, soft_wrap=True)
    return report


def _exit(report: Report | None) -> None:
    if report is None:
        print("interrupted: nothing had been measured", file=sys.stderr)
    if report is None or report.interrupted:
        sys.exit(EXIT_INTERRUPTED)
    endpoints = [endpoint for level in report.levels for endpoint in level.endpoints]
    if not any(endpoint.outcomes.get("ok") for endpoint in endpoints):
        errors = [error for endpoint in endpoints for error in endpoint.errors]
        first = f": {errors[0].count} x {errors[0].example}" if errors else ""
        raise StreamError(f"no request ended well{first}")
