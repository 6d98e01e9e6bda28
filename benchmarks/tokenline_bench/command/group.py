"""`tokenline bench` and its options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tokenline_command import ended_by_ctrl_c

from .comparing import compare
from .metrics import metrics
from .schema import schema

_PATH = click.Path(path_type=Path, dir_okay=False)

Callback = TypeVar("Callback", bound=Callable[..., Any])


def _options(*options: Callable[[Any], Any]) -> Callable[[Callback], Callback]:
    """Several click options as one decorator, in the order in which they are shown."""

    def decorate(function: Callback) -> Callback:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_WHAT = _options(
    click.option("--model", help="The model, as the provider knows it."),
    click.option("--provider", default="openai", show_default=True, help="Whose API."),
    click.option("--base-url", help="Another address; by default the provider's."),
    click.option("--api", help="Wire API, where a provider has several: openai.responses ..."),
    click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="HTTP header."),
    click.option("--body", metavar="JSON", help="More fields of every request's body."),
    click.option(
        "--client-option",
        "client_options",
        multiple=True,
        metavar="NAME=VALUE",
        help="Further argument of the client: aws_region, api_version ...",
    ),
    click.option(
        "--endpoint",
        "endpoints",
        multiple=True,
        metavar="FIELDS",
        help="label=a,model=m,base_url=...: several are measured in turns.",
    ),
)
_WORK = _options(
    click.option("--prompt-tokens", default=128, show_default=True, help="Length of prompts."),
    click.option("--prompt-spread", default=0, help="Shorter or longer by up to this."),
    click.option("--shared-prefix", default=0, help="Tokens that all prompts begin with."),
    click.option("--output-tokens", default=128, show_default=True, help="Limit of the answer."),
    click.option("--words-per-token", default=1.0, help="Of made-up text."),
    click.option("--prompt", help="This one prompt, every time."),
    click.option("--prompts", type=_PATH, help="File of prompts, conversations or a timed trace."),
    click.option(
        "--form",
        type=click.Choice(["auto", "jsonl", "sharegpt", "conversations", "mooncake"]),
        default="auto",
        help="What is in the file.",
    ),
    click.option("--live-history", is_flag=True, help="Conversations go on with live answers."),
    click.option("--shuffle", is_flag=True, help="The file in another order."),
)
_LOAD = _options(
    click.option("--concurrency", type=int, help="Closed loop: that many users."),
    click.option("--rate", type=float, help="Open loop: requests per second."),
    click.option(
        "--arrivals",
        type=click.Choice(["constant", "poisson", "gamma"]),
        default="poisson",
        show_default=True,
        help="How an open loop's requests are spread.",
    ),
    click.option("--burstiness", default=1.0, help="Of gamma: below 1 bursty, above 1 even."),
    click.option("--trace", is_flag=True, help="At the times that the file gives."),
    click.option("--trace-speed", default=1.0, help="2 is twice as fast."),
    click.option("--max-concurrency", type=int, help="Of an open loop; others wait."),
    click.option("--ramp", "ramp_s", default=0.0, help="Seconds until the full load."),
    click.option(
        "--sweep", metavar="VALUES", help="1,2,4,8: level after level; 1..64: find the knee."
    ),
    click.option("--requests", type=int, help="Of each level. Default 100 without --duration."),
    click.option("--duration", "duration_s", type=float, help="Seconds of each level."),
    click.option("--grace", "grace_s", default=30.0, help="Seconds for requests under way."),
    click.option("--warmup", type=int, help="Requests before; default one a connection."),
    click.option("--timeout", "timeout_s", default=600.0, help="Seconds of one request."),
    click.option("--cancel-share", default=0.0, help="Share of requests left on purpose, 0 to 1."),
    click.option("--cancel-after", "cancel_after_s", default=0.5, help="Seconds until then."),
    click.option("--processes", default=1, show_default=True, help="That generate load."),
    click.option("--seed", default=0, help="Decides prompts, arrivals and turns."),
)
_JUDGING = _options(
    click.option("--slo", metavar="BOUNDS", help="ttft=500ms,tpot=50ms: for goodput and knee."),
    click.option("--slo-share", default=0.95, show_default=True, help="Of requests that meet it."),
    click.option("--confidence", default=0.95, show_default=True, help="Of intervals."),
    click.option("--check/--no-check", default=True, help="Ask once before the load begins."),
    click.option(
        "--calibrate/--no-calibrate", default=True, help="Measure what the harness itself adds."
    ),
)
_OUTPUT = _options(
    click.option("--title", default="", help="Heading of reports."),
    click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="All files here."),
    click.option("--json", "json_path", type=_PATH, help="The whole report."),
    click.option("--jsonl", "jsonl_path", type=_PATH, help="One line a request."),
    click.option("--csv", "csv_path", type=_PATH, help="One row a metric."),
    click.option("--html", "html_path", type=_PATH, help="Charts; opens without a network."),
    click.option("--otlp", metavar="URL", help="Send spans and metrics there; see OTEL_*."),
    click.option("--quiet", is_flag=True, help="No progress, no tables."),
)


_SECTIONS = {
    "What is measured": _WHAT,
    "What is asked": _WORK,
    "How requests come": _LOAD,
    "How results are judged": _JUDGING,
    "Where results go": _OUTPUT,
}


class _Group(click.Group):
    """Shows options under headings: there are many."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list of options for each section, then the commands."""
        records = {p.name: p.get_help_record(ctx) for p in self.get_params(ctx)}
        for title, section in _SECTIONS.items():
            rows = [records.pop(name) for name in _names_of(section)]
            with formatter.section(title):
                formatter.write_dl([row for row in rows if row is not None])
        with formatter.section("Others"):
            formatter.write_dl([row for row in records.values() if row is not None])
        self.format_commands(ctx, formatter)


def _names_of(section: Callable[[Any], Any]) -> list[str]:
    """Names of a section's options, in order."""
    parameters = section(click.Command("section")).params
    return [parameter.name for parameter in reversed(parameters) if parameter.name]


@click.group("bench", cls=_Group, invoke_without_command=True)
@_WHAT
@_WORK
@_LOAD
@_JUDGING
@_OUTPUT
@click.pass_context
def command(context: click.Context, /, **options: Any) -> None:
    """Measure endpoints: TTFT, time per token, throughput, goodput.

    \b
    tokenline bench --model m --base-url http://127.0.0.1:8000/v1 --concurrency 8
    tokenline bench --model m --rate 4 --duration 60 --slo ttft=500ms --out results
    tokenline bench --model m --concurrency 1 --sweep 1..64 --slo ttft=500ms,tpot=50ms
    tokenline bench compare before.json after.json
    """
    if context.invoked_subcommand is None:
        with ended_by_ctrl_c():
            from .running import run

        run(options)


command.add_command(compare)
command.add_command(metrics)
command.add_command(schema)
