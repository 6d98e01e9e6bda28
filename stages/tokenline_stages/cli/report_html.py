"""`tokenline report`: an HTML page from a trace store; opens from disk, needs no back-end."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import click
from rich.console import Console

from tokenline.errors import ConfigError
from tokenline_stages.traces import TraceFilter, TraceRecord, open_reader
from tokenline_stages.traces.filters import read_moment


@click.command()
@click.argument("store")
@click.option(
    "-o",
    "--output",
    default="report.html",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the page is written.",
)
@click.option("--model", "models", multiple=True, help="Only these models; * is anything.")
@click.option("--provider", "providers", multiple=True, help="Only these providers.")
@click.option(
    "--since", default=None, metavar="TIME", help="From then on: 2h, 7d, 2026-11-22T14:30."
)
@click.option("--until", default=None, metavar="TIME", help="Before then.")
@click.option("--limit", default=2000, show_default=True, type=click.IntRange(min=1), help="Most.")
def command(
    store: str,
    output: Path,
    models: tuple[str, ...],
    providers: tuple[str, ...],
    since: str | None,
    until: str | None,
    limit: int,
) -> None:
    """Draw the traces in STORE: waterfalls, times to first token, stages, slowest requests.

    STORE is a file (traces.db, traces.jsonl) or a database URL
    (postgresql://USER@HOST/DATABASE), as written by a trace store. The page holds all it needs.
    """
    if importlib.util.find_spec("plotly") is None:
        raise ConfigError("a report needs plotly; pip install 'tokenline[report]'")
    wanted = TraceFilter(
        models=models,
        providers=providers,
        since=read_moment(since) if since else None,
        until=read_moment(until) if until else None,
        limit=limit,
    )
    records = asyncio.run(_read(store, wanted))
    if not records:
        raise ConfigError(f"no traces in {store} match")
    _write(records, output, store)


async def _read(store: str, wanted: TraceFilter) -> list[TraceRecord]:
    reader = open_reader(store)
    try:
        return await reader.find(wanted)
    finally:
        await reader.aclose()


def _write(records: list[TraceRecord], output: Path, store: str) -> None:
    from tokenline_stages.html_report import write_report

    # A database's address may hold a password.
    name = "traces" if "://" in store else Path(store).name
    try:
        write_report(records, output, f"tokenline: {name}")
    except OSError as error:
        raise ConfigError(f"cannot write {output}: {error.strerror}") from error
    Console().print(f"{len(records)} requests in {output}", highlight=False, markup=False)
