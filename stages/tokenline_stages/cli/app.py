"""The `tokenline` command and its error manners: one line that names the cure, no traceback."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import NoReturn

import click
from rich.console import Console

from tokenline.errors import ConfigError, StreamError, TokenlineError
from tokenline_command import ended_by_ctrl_c

EXIT_STREAM_FAILED = 1
EXIT_BAD_USE = 2
EXIT_INTERRUPTED = 130

_COMMANDS = {
    "bench": "bench",
    "chat": "chat",
    "conformance": "conformance",
    "demo": "demo",
    "graph": "graph",
    "record": "record",
    "report": "report_html",
    "serve": "serve",
    "traces": "traces",
}
"""Command name to the module of this folder that has it; loaded when called."""


class LazyGroup(click.Group):
    """Loads a command's module when it is needed: `tokenline --help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All command names."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command called `cmd_name`."""
        if cmd_name not in _COMMANDS:
            return None
        with ended_by_ctrl_c():
            module = import_module(f"{__package__}.{_COMMANDS[cmd_name]}")
        command: click.Command = module.command
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tokenline")
def cli() -> None:
    """Stream LLM responses and see where every millisecond to the first token went."""


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command line; exits with 0, 1 (stream failed), 2 (bad use) or 130 (interrupted)."""
    try:
        # Not standalone: click would print a page for bad use, and exit with 1 after Ctrl-C.
        code = cli.main(args=args, prog_name="tokenline", standalone_mode=False)
    except ConfigError as error:
        _stop(str(error), EXIT_BAD_USE)
    except TokenlineError as error:
        _stop(f"{error}{_arrived(error)}", EXIT_STREAM_FAILED)
    except click.ClickException as error:
        _stop(f"{error.format_message()}{_help_of(error)}", error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _stop(words: str, code: int) -> NoReturn:
    line = f"error: {' '.join(words.split())}"
    Console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)


def _arrived(error: TokenlineError) -> str:
    if isinstance(error, StreamError) and error.partial is not None and error.partial.text:
        return f" [{len(error.partial.text)} characters had arrived]"
    return ""


def _help_of(error: click.ClickException) -> str:
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f" See {error.ctx.command_path} --help"
    return ""
