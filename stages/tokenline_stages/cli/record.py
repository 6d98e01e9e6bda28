"""`tokenline record`: one real stream with its timing to a cassette."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
from rich.console import Console

from tokenline.errors import ConfigError, StreamError
from tokenline.record import RunRecord
from tokenline_stages.providers.registry import Access


@click.command("record")
@click.argument("prompt")
@click.option(
    "--out",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The cassette, NAME.cassette.jsonl.",
)
@click.option("--provider", default="openai", show_default=True, help="Whose API.")
@click.option("--model", required=True, help="The model, as the provider knows it.")
@click.option("--base-url", help="Another address; by default the provider's.")
@click.option("--api", help="Wire API, where a provider has several: openai.responses ...")
@click.option("--max-tokens", type=int, help="Limit of the answer.")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="HTTP header.")
@click.option("--body", metavar="JSON", help="More fields of the request's body.")
def command(
    prompt: str,
    path: Path,
    provider: str,
    model: str,
    base_url: str | None,
    api: str | None,
    max_tokens: int | None,
    headers: tuple[str, ...],
    body: str | None,
) -> None:
    """Send PROMPT and record the answer: raw bytes and nanosecond stamp of every read.

    [redacted] stands in the file for values of every HTTP header of the request but a few harmless
    ones (accept, content-type, user-agent, anthropic-version, ...), for what has a secret's name or
    looks like a key in the request's body, URLs, response headers and errors, and for passwords in
    URLs. The response's body is kept byte for byte: look at it before you give the file away.

    Play it from `tokenline serve --recordings FOLDER`, at true or scaled
    speed; tests, benchmarks and bug reports take the same file.
    """
    from tokenline_bench.command.values import read_body, read_pairs
    from tokenline_bench.recorder import prompt_payload, record_cassette

    payload = prompt_payload(provider, model, prompt, api=api, max_tokens=max_tokens)
    payload |= read_body(body)
    try:
        run = asyncio.run(
            record_cassette(
                provider,
                payload,
                path,
                api=api,
                access=Access(base_url=base_url, max_retries=0),
                headers=read_pairs(headers, "--header"),
            )
        )
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
    except StreamError as error:
        if path.exists():
            Console(stderr=True).print(f"{path} has what had come", highlight=False, soft_wrap=True)
        raise error
    if run.record is not None:
        _tell(path, run.record)


def _tell(path: Path, record: RunRecord) -> None:
    timings = record.timings
    first_s = timings.since_request_s(timings.first_token_ns)
    end_s = timings.since_request_s(timings.ended_ns)
    shown = ", ".join(
        f"{name} {seconds * 1000:.1f} ms"
        for name, seconds in (("TTFT", first_s), ("end", end_s))
        if seconds is not None
    )
    Console().print(
        f"{path}: {record.bytes} bytes in {record.stages[0].batches} reads; {shown}",
        highlight=False,
        soft_wrap=True,
    )
