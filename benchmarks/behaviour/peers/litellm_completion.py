"""litellm, as its documentation streams: `await acompletion(stream=True)`, then `async for`."""

from __future__ import annotations

from typing import Any

import litellm

from .asking import CHAT_TOOLS, MESSAGES, MODEL
from .observing import Job, Kept, Seen, serve


async def read(job: Job, seen: Seen) -> None:
    """See `observing.Read`."""
    limit: dict[str, Any] = {} if job.limit_s is None else {"timeout": job.limit_s}
    tools: dict[str, Any] = {"tools": CHAT_TOOLS} if job.tools else {}
    provider = "openai" if job.api == "chat" else "anthropic"
    stream: Any = await litellm.acompletion(
        model=f"{provider}/{MODEL}",
        messages=MESSAGES,
        api_base=job.openai_url if job.api == "chat" else job.url,
        api_key="x",
        stream=True,
        stream_options={"include_usage": True},
        **limit,
        **tools,
    )
    chunks: list[Any] = []

    def kept() -> Kept:
        # Its documentation has the user collect the chunks and hand them to this function.
        whole: Any = litellm.stream_chunk_builder(chunks, messages=MESSAGES)
        return (None, None) if whole is None else (whole.choices[0].message.content, whole.usage)

    seen.keep = kept
    arguments = ""
    async for chunk in stream:
        chunks.append(chunk)
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
