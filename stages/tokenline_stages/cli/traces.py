"""`tokenline traces`: lists and shows what a trace store holds."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console

from tokenline.errors import ConfigError, UsageError
from tokenline.record import Outcome
from tokenline_stages.traces import TraceFilter, TraceReader, TraceRecord, open_reader
from tokenline_stages.traces.filters import read_moment
from tokenline_stages.traces.record import encode_record

from .trace_view import as_table, show_record

T = TypeVar("T")


def _read(store: str, work: Callable[[TraceReader], Coroutine[Any, Any, T]]) -> T:
    async def run() -> T:
        reader = open_reader(store)
        try:
            found = await work(reader)
            if reader.skipped:
                _warn(f"{reader.skipped} entries are no readable records and were left out")
            return found
        finally:
            await reader.aclose()

    return asyncio.run(run())


def _warn(text: str) -> None:
    Console(stderr=True).print(f"warning: {text}", markup=False, highlight=False)


def _print_json(records: list[TraceRecord]) -> None:
    for record in records:
        sys.stdout.write(encode_record(record).decode() + "\n")


@click.command()
@click.argument("store")
@click.argument("what", nargs=-1, metavar="[show ID]")
@click.option("--model", "models", multiple=True, help="Only these models; * is anything.")
@click.option("--provider", "providers", multiple=True, help="Only these providers.")
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    type=click.Choice([outcome.value for outcome in Outcome]),
    help="Only runs that ended so.",
)
@click.option(
    "--since", default=None, metavar="TIME", help="From then on: 2h, 7d, 2026-11-22T14:30."
)
@click.option("--until", default=None, metavar="TIME", help="Before then.")
@click.option("--slow", default=None, type=float, metavar="S", help="Time to first token above S.")
@click.option("--run", "run_id", default=None, metavar="ID", help="Only of this run_id.")
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1, 1_000_000), help="Most."
)
@click.option("--json", "as_json", is_flag=True, help="Whole records, one JSON object a line.")
def command(
    store: str,
    what: tuple[str, ...],
    models: tuple[str, ...],
    providers: tuple[str, ...],
    outcomes: tuple[str, ...],
    since: str | None,
    until: str | None,
    slow: float | None,
    run_id: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List the traces in STORE, the latest first; `STORE show ID` shows one.

    STORE is a file (traces.db, traces.jsonl) or a database URL
    (postgresql://USER@HOST/DATABASE). ID is an id of the list, the beginning of one, or a message
    id. Times are UTC.
    """
    if what:
        _show(store, what, as_json)
        return
    wanted = TraceFilter(
        models=models,
        providers=providers,
        outcomes=outcomes,
        since=read_moment(since) if since else None,
        until=read_moment(until) if until else None,
        slower_than_s=slow,
        run_id=run_id,
        limit=limit,
    )
    records = _read(store, lambda reader: reader.find(wanted))
    if as_json:
        _print_json(records)
    elif records:
        Console().print(as_table(records))
    else:
        Console().print("no traces match")


def _show(store: str, what: tuple[str, ...], as_json: bool) -> None:
    if len(what) != 2 or what[0] != "show":
        raise UsageError(f"after the store comes `show ID` or nothing, not {' '.join(what)!r}")
    identifier = what[1]
    records = _read(store, lambda reader: reader.get(identifier))
    if not records:
        raise ConfigError(f"no trace {identifier!r} in the store; the list shows ids")
    if len(records) > 1:
        ids = ", ".join(record.id for record in records[:5])
        raise ConfigError(f"{identifier!r} fits {len(records)} traces: {ids} ...")
    if as_json:
        sys.stdout.write(msgspec.json.format(encode_record(records[0])).decode() + "\n")
    else:
        show_record(Console(), records[0])
