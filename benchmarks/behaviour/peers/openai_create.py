"""openai, as its README streams: `await create(stream=True)`, then `async for`."""

from __future__ import annotations

from typing import Any

import openai

from .asking import CHAT_TOOLS, MESSAGES, MODEL
from .observing import Job, Seen, serve


async def read(job: Job, seen: Seen) -> None:
    """See `observing.Read`."""
    limit: dict[str, Any] = {} if job.limit_s is None else {"timeout": job.limit_s}
    tools: dict[str, Any] = {"tools": CHAT_TOOLS} if job.tools else {}
    client = openai.AsyncOpenAI(api_key="x", base_url=job.openai_url, **limit)
    stream: Any = await client.chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        stream=True,
        stream_options={"include_usage": True},
        **tools,
    )
    arguments = ""
    async for chunk in stream:
        if not chunk.choices:
            continue
        choice = chunk.choices[0]
        seen.noted.finish_reason = choice.finish_reason or seen.noted.finish_reason
        for call in choice.delta.tool_calls or ():
            arguments += call.function.arguments or ""
        if not await seen.take(choice.delta.content):
            break
    if arguments:
        seen.noted.calls.append(repr(arguments))
    await seen.after()


if __name__ == "__main__":
    serve(read)
