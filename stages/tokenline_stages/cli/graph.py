"""`tokenline graph`: print a provider's pipeline."""

from __future__ import annotations

import click

from tokenline.telemetry.hook import NoTelemetry
from tokenline_stages.connection import connect
from tokenline_stages.providers.registry import known_providers


@click.command()
@click.option("--provider", default="openai", show_default=True, help="Whose pipeline.")
@click.option("--api", default=None, help="Which of its APIs; its first by default.")
@click.option("--mermaid", is_flag=True, help="As a Mermaid flowchart.")
def command(provider: str, api: str | None, mermaid: bool) -> None:
    """Print the pipeline of a provider with the bounds of every queue."""
    pipeline = connect(provider, api=api, telemetry=NoTelemetry()).pipeline()
    click.echo(pipeline.mermaid() if mermaid else pipeline.describe())
    if not mermaid:
        click.echo(f"\nproviders: {', '.join(known_providers())}")
