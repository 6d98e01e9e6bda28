"""openai's streaming helper, `async with client.chat.completions.stream(...)` (its helpers.md)."""

from __future__ import annotations

from typing import Any

import openai

from .asking import CHAT_TOOLS, MESSAGES, MODEL
from .observing import Job, Kept, Seen, serve


async def read(job: Job, seen: Seen) -> None:
    """See `observing.Read`."""
    limit: dict[str, Any] = {} if job.limit_s is None else {"timeout": job.limit_s}
    tools: dict[str, Any] = {"tools": CHAT_TOOLS} if job.tools else {}
    client = openai.AsyncOpenAI(api_key="x", base_url=job.openai_url, **limit)
    asked: Any = client.chat.completions.stream(model=MODEL, messages=MESSAGES, **tools)
    async with asked as stream:

        def kept() -> Kept:
            snapshot = stream.current_completion_snapshot
            return snapshot.choices[0].message.content, snapshot.usage

        seen.keep = kept
        left = False
        async for event in stream:
            if event.type == "content.delta" and not await seen.take(event.delta):
                left = True
                break
        if not left:
            await note_completion(stream, seen)
    await seen.after()


async def note_completion(stream: Any, seen: Seen) -> None:
    """The final completion's calls."""
    choice = (await stream.get_final_completion()).choices[0]
    seen.noted.finish_reason = choice.finish_reason
    for call in choice.message.tool_calls or ():
        seen.noted.calls.append(f"{call.function.arguments!r}, parsed {parsed(call)!r}")


def parsed(call: Any) -> Any:
    """The helper's own reading of the arguments."""
    return getattr(call.function, "parsed_arguments", None)


if __name__ == "__main__":
    serve(read)
