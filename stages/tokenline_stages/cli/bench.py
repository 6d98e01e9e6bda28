"""`tokenline bench`: measures endpoints; all of it is in the package `tokenline_bench`."""

from __future__ import annotations

from importlib.util import find_spec

import click

from tokenline.errors import ConfigError

_NEEDED = ("tokenline_bench", "numpy", "plotly")


def _find_command() -> click.Command:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        return _refusal(missing)
    from tokenline_bench.command import command as found

    return found


def _refusal(missing: list[str]) -> click.Command:
    @click.command(
        "bench",
        context_settings={"ignore_unknown_options": True, "help_option_names": []},
        help="Measure endpoints (needs the extra tokenline[bench]).",
    )
    @click.argument("rest", nargs=-1)
    def refuse(rest: tuple[str, ...]) -> None:
        raise ConfigError(
            f"tokenline bench needs {', '.join(missing)}; run: pip install 'tokenline[bench]'"
        )

    return refuse


command = _find_command()
