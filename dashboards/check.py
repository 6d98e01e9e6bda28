"""Checks the dashboards on real back-ends that run here.

    apt-get install prometheus chromium        # Debian's
    python -m dashboards.check prometheus      # every expression on live data, pictures
    python -m dashboards.check phoenix         # spans over http and gRPC, read back, a screenshot
    python -m dashboards.check report          # the page of `tokenline report`, without a network

All put a mixed load on the simulator (`dashboards.load`). What the first two need from PyPI goes
to virtual environments of their own under `build/dashboards` (Phoenix: 855 MB).
"""

import sys
from pathlib import Path

import click

from .tools import CheckFailedError

PICTURES = Path(__file__).parent / "pictures"


@click.group()
def cli() -> None:
    """Check the dashboards on real back-ends."""


@cli.command()
@click.option("--seconds", default=90.0, show_default=True, help="How long the load lasts.")
@click.option("--pictures/--no-pictures", default=True, show_default=True)
def prometheus(seconds: float, pictures: bool) -> None:
    """Scrape a load with Debian's Prometheus and run every expression."""
    from .prometheus_check import check

    check(seconds, PICTURES if pictures else None)


@cli.command()
@click.option("--seconds", default=10.0, show_default=True, help="How long each load lasts.")
def phoenix(seconds: float) -> None:
    """Send spans to Arize Phoenix over both transports and read them back."""
    from .phoenix_check import check

    check(seconds, PICTURES)


@cli.command()
@click.option("--seconds", default=20.0, show_default=True, help="How long the load lasts.")
def report(seconds: float) -> None:
    """Draw the page of `tokenline report` in a browser that has no network."""
    from .report_check import check

    check(seconds, PICTURES)


if __name__ == "__main__":
    try:
        cli(standalone_mode=False)
    except CheckFailedError as error:
        sys.exit(f"failed: {error}")
