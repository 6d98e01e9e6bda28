"""anthropic, as its README streams: `async with client.messages.stream(...)`."""

from __future__ import annotations

from typing import Any

import anthropic

from .asking import MESSAGES, MESSAGES_TOOLS, MODEL
from .observing import Job, Kept, Seen, serve


async def read(job: Job, seen: Seen) -> None:
    """See `observing.Read`."""
    limit: dict[str, Any] = {} if job.limit_s is None else {"timeout": job.limit_s}
    tools: dict[str, Any] = {"tools": MESSAGES_TOOLS} if job.tools else {}
    client = anthropic.AsyncAnthropic(api_key="x", base_url=job.url, **limit)
    asked: Any = client.messages.stream(model=MODEL, max_tokens=4096, messages=MESSAGES, **tools)
    async with asked as stream:

        def kept() -> Kept:
            snapshot = stream.current_message_snapshot
            return "".join(b.text for b in snapshot.content if b.type == "text"), snapshot.usage

        seen.keep = kept
        left = False
        async for text in stream.text_stream:
            if not await seen.take(text):
                left = True
                break
        if not left:
            message = await stream.get_final_message()
            seen.noted.finish_reason = message.stop_reason
            calls = [block for block in message.content if block.type == "tool_use"]
            seen.noted.calls += [repr(call.input) for call in calls]
    await seen.after()


if __name__ == "__main__":
    serve(read)
