"""pydantic-ai, as its documentation streams: `async with agent.run_stream(...)`."""

from __future__ import annotations

from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from .asking import MODEL, PROMPT
from .observing import Job, Kept, Seen, serve


async def read(job: Job, seen: Seen) -> None:
    """See `observing.Read`."""

    def transfer(account: str, amount: int) -> str:
        """Transfer money."""
        seen.noted.executed.append(f"transfer({account!r}, {amount!r})")
        return "done"

    limit: dict[str, Any] = {} if job.limit_s is None else {"timeout": job.limit_s}
    agent: Any = Agent(
        _model(job),
        tools=[transfer] if job.tools else [],
        model_settings={"max_tokens": 4096, **limit},
    )
    async with agent.run_stream(PROMPT) as result:

        def kept() -> Kept:
            parts = [part for part in result.response.parts if part.part_kind == "text"]
            return "".join(part.content for part in parts), _of(result.usage)

        seen.keep = kept
        async for text in result.stream_text(delta=True):
            if not await seen.take(text):
                break
        seen.noted.finish_reason = result.response.finish_reason
    await seen.after()


def _model(job: Job) -> Any:
    if job.api == "chat":
        return OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=job.openai_url, api_key="x"))
    return AnthropicModel(MODEL, provider=AnthropicProvider(base_url=job.url, api_key="x"))


def _of(usage: Any) -> Any:
    return usage() if callable(usage) else usage


if __name__ == "__main__":
    serve(read)
