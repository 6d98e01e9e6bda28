"""The command `tokenline serve`."""

import asyncio
import contextlib
import gc
import os
import signal
import sys
from pathlib import Path
from typing import Any

import click

from tokenline.errors import ConfigError

from .plan import Plan, PlanMix, read_plan
from .simulator import Simulator
from .tls import server_context

READY = "simulator ready at "
"""What the command prints on standard output, followed by its address, once it listens."""


class BadOptionError(click.ClickException):
    """Options that make no simulator."""

    exit_code = 2


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Port; 0 takes a free one.",
)
@click.option(
    "--plan", "plan_text", help="Plan as JSON, or @FILE. See tokenline_stages.simulator.Plan."
)
@click.option("--seed", type=int, help="Decides words, ids and every drawn time.")
@click.option("--ttft-s", type=float, help="Seconds to the first token.")
@click.option("--inter-token-s", type=float, help="Seconds from token to token; 0 is flat out.")
@click.option("--jitter-s", type=float, help="Each token is early or late by up to this.")
@click.option("--tokens", type=int, help="How many text tokens.")
@click.option("--reasoning-tokens", type=int, help="How many reasoning tokens before them.")
@click.option("--tool-calls", type=int, help="How many tool calls after them.")
@click.option("--text", help="The text to send, one word a token.")
@click.option("--api-key", help="Refuse requests that do not present this key.")
@click.option("--capacity", type=int, help="Requests served at a time; others wait their turn.")
@click.option("--recordings", help="Folder with recordings to play under /recordings/NAME.")
@click.option("--tls-certificate", type=Path, help="PEM file; serves HTTPS, needs --tls-key.")
@click.option("--tls-key", type=Path, help="PEM file with the certificate's key.")
@click.option("--until-stdin-closes", is_flag=True, hidden=True)
def serve(
    host: str,
    port: int,
    plan_text: str | None,
    api_key: str | None,
    capacity: int | None,
    recordings: str | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    until_stdin_closes: bool,
    **changes: Any,
) -> None:
    """Simulate the providers' APIs on a local port.

    Speaks OpenAI chat completions and responses, Anthropic messages, Gemini, Ollama and
    Bedrock on their own paths. A request may change the plan by the header x-tokenline-plan
    or the field tokenline_plan, in JSON. Stamps of what was sent: GET /ledger/REQUEST_ID.
    """
    try:
        plan = _read_options(plan_text, changes)
        if (tls_certificate is None) != (tls_key is None):
            raise ConfigError("--tls-certificate and --tls-key need each other; give both")
        tls = server_context(tls_certificate, tls_key) if tls_certificate and tls_key else None
        simulator = Simulator(
            plan,
            host=host,
            port=port,
            api_key=api_key,
            tls=tls,
            recordings=recordings,
            capacity=capacity,
        )
        asyncio.run(_serve(simulator, until_stdin_closes))
    except ConfigError as error:
        raise BadOptionError(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}") from error


def _read_options(plan_text: str | None, changes: dict[str, Any]) -> Plan | PlanMix:
    plan: Plan | PlanMix = Plan()
    if plan_text is not None:
        if plan_text.startswith("@"):
            try:
                plan_text = Path(plan_text[1:]).read_text(encoding="utf-8")
            except OSError as error:
                raise ConfigError(f"cannot read {plan_text[1:]}: {error.strerror}") from error
        plan = read_plan(plan_text)
    given = {name: value for name, value in changes.items() if value is not None}
    if not given:
        return plan
    if isinstance(plan, PlanMix):
        raise ConfigError("a mix of plans takes no options; change the plans themselves")
    return plan.with_changes(given)


async def _serve(simulator: Simulator, until_stdin_closes: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(name, stop.set)
    if until_stdin_closes:
        loop.add_reader(sys.stdin.fileno(), _read_stdin, stop)
    async with simulator:
        gc.freeze()
        click.echo(f"{READY}{simulator.url}")
        await stop.wait()


def _read_stdin(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stop.set()
