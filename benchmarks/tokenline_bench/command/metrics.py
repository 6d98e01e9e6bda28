"""`tokenline bench metrics`: what is measured, and what others call it."""

from __future__ import annotations

import click


@click.command("metrics")
def metrics() -> None:
    """Show every metric's formula and its names in other tools."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from tokenline_bench.metrics import POOLED_METRICS, REQUEST_METRICS
    from tokenline_bench.metrics.names import TABLE

    console = Console()
    formulas = Table("name", "metric", "formula", box=SIMPLE_HEAD, pad_edge=False)
    for request in REQUEST_METRICS.values():
        formulas.add_row(request.name, request.title, request.formula)
    for pooled in POOLED_METRICS.values():
        formulas.add_row(pooled.name, pooled.title, pooled.formula)
    console.print(formulas)
    others = Table(
        *("here", "AIPerf", "GuideLLM", "vLLM", "MLPerf", "difference"),
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for row in TABLE:
        others.add_row(row.metric, row.aiperf, row.guidellm, row.vllm, row.mlperf, row.difference)
    console.print(others)
