"""tokenline, as its README streams: `async with connection.run(payload) as run`."""

from __future__ import annotations

from typing import Any

from tokenline import RunOptions, Timeouts
from tokenline.telemetry import NoTelemetry
from tokenline_stages import connect

from .asking import CHAT_TOOLS, MESSAGES, MESSAGES_TOOLS, MODEL
from .observing import Job, Kept, Seen, serve


async def read(job: Job, seen: Seen) -> None:
    """See `observing.Read`."""
    chat = job.api == "chat"
    payload: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, "max_tokens": 4096}
    if job.tools:
        payload["tools"] = CHAT_TOOLS if chat else MESSAGES_TOOLS
    async with connect(
        "openai" if chat else "anthropic",
        api_key="x",
        base_url=job.openai_url if chat else job.url,
        telemetry=NoTelemetry(),
        options=_options(job.limit_s),
    ) as connection:
        async with connection.run(payload) as run:

            def kept() -> Kept:
                partial = getattr(run.error, "partial", None) or run.snapshot()
                return partial.text, partial.usage

            seen.keep = kept
            left = False
            async for text in run.text_stream():
                if not await seen.take(text):
                    left = True
                    break
            if not left:
                result = await run.result()
                seen.noted.finish_reason = result.finish_reason
                for call in result.tool_calls:
                    seen.noted.calls.append(
                        f"{call.arguments!r}, parsed {call.parsed!r}, complete={call.complete}"
                    )
        await seen.after()


def _options(limit_s: float | None) -> RunOptions | None:
    if limit_s is None:
        return None
    limits = Timeouts(headers_s=limit_s, first_token_s=limit_s, idle_s=limit_s, stall_s=limit_s)
    return RunOptions(timeouts=limits)


if __name__ == "__main__":
    serve(read)
