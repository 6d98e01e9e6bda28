"""`tokenline bench schema`: the form of the JSON report, for programs that read it."""

from __future__ import annotations

import click


@click.command("schema")
def schema() -> None:
    """Print the JSON Schema of the report that --json writes."""
    import msgspec

    from tokenline_bench.report import schema as describe

    click.echo(msgspec.json.format(msgspec.json.encode(describe()), indent=1))
