"""`python -m benchmarks.micro`: times by pytest-benchmark, or instructions by valgrind."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .cases import CASES
from .instructions import Counter, NoCounterError, run_case


@click.command()
@click.option("--instructions", is_flag=True, help="Count instructions instead of time.")
@click.option("--case", "names", multiple=True, type=click.Choice(list(CASES)), help="Only these.")
@click.option("--repeat", nargs=2, hidden=True, type=(str, int), help="Do a case so often; quiet.")
def main(instructions: bool, names: tuple[str, ...], repeat: tuple[str, int] | None) -> None:
    """Measure the parts of the pipeline one by one."""
    if repeat is not None:
        run_case(*repeat)
    elif instructions:
        _count(names or tuple(CASES))
    else:
        _time(names)


def _time(names: tuple[str, ...]) -> None:
    import pytest

    chosen = ["-k", " or ".join(f"[{name}]" for name in names)] if names else []
    columns = "--benchmark-columns=median,iqr,rounds"
    folder = str(Path(__file__).parent)
    sys.exit(pytest.main([folder, "-q", columns, "--benchmark-sort=name", *chosen]))


def _count(names: tuple[str, ...]) -> None:
    try:
        counter = Counter.find()
    except NoCounterError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"instructions by {counter.name}, user space only")
    for name in names:
        click.echo(f"{name:48} {counter.per_unit(name):12,.0f} / {CASES[name].unit}")


if __name__ == "__main__":
    main()
