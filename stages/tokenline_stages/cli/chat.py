"""`tokenline chat`: one request to a real endpoint, then where its time went."""

from __future__ import annotations

import asyncio
from typing import Any

import click
from rich.console import Console

from tokenline.errors import UsageError
from tokenline.events import ReasoningDelta, TextDelta, ToolCallDelta, ToolCallEnd, ToolCallStart
from tokenline.run import Run
from tokenline_stages.connection import connect
from tokenline_stages.providers.registry import provider

from .report import show_run


def payload_for(name: str, model: str, prompt: str, max_tokens: int) -> dict[str, Any]:
    """A request payload with one user message, in the form of the provider's first API.

    Raises:
        UnknownProviderError: no such provider.
    """
    api = provider(name).apis[0].name
    if api.startswith("gemini"):
        return {"model": model, "contents": [{"role": "user", "parts": [{"text": prompt}]}]}
    if api.startswith("bedrock"):
        content: Any = [{"text": prompt}]
        limit = {"inferenceConfig": {"maxTokens": max_tokens}}
        return {"modelId": model, "messages": [{"role": "user", "content": content}], **limit}
    payload: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    if api.startswith("anthropic"):
        payload["max_tokens"] = max_tokens
    return payload


async def show_events(run: Run, console: Console) -> None:
    """Print what the model says as it comes: reasoning dimmed, tool calls named."""

    def say(text: str, style: str | None = None) -> None:
        console.print(text, end="", style=style, markup=False, highlight=False, soft_wrap=True)

    last: type | None = None
    async for event in run:
        if last is ReasoningDelta and type(event) is TextDelta:
            say("\n")
        last = type(event) if isinstance(event, (TextDelta, ReasoningDelta)) else last
        match event:
            case TextDelta():
                say(event.text)
            case ReasoningDelta():
                say(event.text, "dim")
            case ToolCallStart():
                say(f"\n[{event.name} ", "magenta")
            case ToolCallDelta():
                say(event.arguments, "magenta")
            case ToolCallEnd():
                say("]" if event.complete else " ... incomplete]", "magenta")
            case _:
                pass
    console.print()


async def _chat(
    name: str,
    payload: dict[str, Any],
    access: dict[str, Any],
    headers: dict[str, str],
    quiet: bool,
) -> None:
    console = Console()
    async with (
        connect(name, **access) as connection,
        connection.run(payload, headers=headers) as run,
    ):
        await show_events(run, console)
    if run.record is not None and not quiet:
        show_run(Console(stderr=True), run.record)


@click.command()
@click.argument("prompt")
@click.option("--provider", "name", default="openai", show_default=True, help="Which provider.")
@click.option("--model", required=True, help="Model name, as the provider knows it.")
@click.option("--base-url", default=None, help="Another address; else the SDK's variable.")
@click.option("--max-tokens", default=1024, show_default=True, help="Where the API needs a bound.")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="Extra HTTP header.")
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    help="Of an attempt that failed before anything came.",
)
@click.option("--quiet", is_flag=True, help="The answer only, no tables.")
def command(
    prompt: str,
    name: str,
    model: str,
    base_url: str | None,
    max_tokens: int,
    headers: tuple[str, ...],
    retries: int,
    quiet: bool,
) -> None:
    """Send PROMPT, print the answer as it comes, then the TTFT breakdown (on stderr).

    Keys and addresses come from the providers' own variables: OPENAI_API_KEY, OPENAI_BASE_URL,
    ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL ...
    """
    payload = payload_for(name, model, prompt, max_tokens)
    access = {"base_url": base_url, "max_retries": retries}
    asyncio.run(_chat(name, payload, access, _read_headers(headers), quiet))


def _read_headers(headers: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for header in headers:
        name, separator, value = header.partition("=")
        if not separator or not name:
            raise UsageError(f"--header {header!r} is not of the form NAME=VALUE")
        found[name] = value
    return found
