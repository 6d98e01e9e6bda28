"""What an OpenAI-compatible server sends in one event of a chat stream, as typed structs.

The structs hold what has a meaning here; msgspec skips every other key without decoding it.
All fields may be missing or null. `Raw` values keep their JSON as sent.

Source: platform.openai.com/docs/api-reference/chat-streaming, and the same page of the servers
named beside the fields.
"""

from typing import Any

from msgspec import Raw, Struct

from tokenline_stages.wire.items import Unknown


class Function(Struct, frozen=True, gc=False):
    """Name and arguments of a function call, or a fragment of them."""

    name: str | None = None
    arguments: str | None = None


class CustomCall(Struct, frozen=True, gc=False):
    """Name and input of a custom tool call, or a fragment of them."""

    name: str | None = None
    input: str | None = None


class ToolCallFragment(Struct, frozen=True, gc=False):
    """One entry of `delta.tool_calls`.

    `name` and `arguments` beside `function` come from servers that leave that level out.
    `extra_content` carries Gemini's thought signature.
    """

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: Function | None = None
    custom: CustomCall | None = None
    extra_content: dict[str, Any] | None = None
    name: str | None = None
    arguments: str | None = None


class ReasoningDetail(Struct, frozen=True, gc=False):
    """One entry of `delta.reasoning_details` (OpenRouter, Vercel, Snowflake)."""

    type: str | None = None
    text: str | None = None
    summary: str | None = None
    data: str | None = None
    signature: str | None = None
    id: str | None = None
    index: int | None = None


class ContentPart(Struct, frozen=True, gc=False):
    """One entry of a content list.

    `thinking` is text or a list of text parts (Mistral); `summary` is a list of signed pieces of
    reasoning (Databricks).
    """

    type: str | None = None
    text: str | None = None
    thinking: Any = None
    refusal: str | None = None
    signature: str | None = None
    summary: Any = None


class Delta(Struct, frozen=True, gc=False):
    """What is new in a choice; a whole message has the same fields."""

    content: str | list[Raw] | None = None
    tool_calls: list[ToolCallFragment] | None = None
    reasoning_content: str | None = None
    """DeepSeek, xAI, Z.ai, llama.cpp, vLLM ..."""
    reasoning: str | None = None
    """OpenRouter, Groq, Ollama, newer vLLM ..."""
    reasoning_text: str | None = None
    """GitHub Copilot."""
    refusal: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None
    annotations: list[Raw] | None = None
    function_call: Function | None = None
    """The form before tool calls."""
    audio: dict[str, Raw] | None = None
    images: list[Raw] | None = None
    """Images made by the model (OpenRouter)."""
    executed_tools: list[Raw] | None = None
    """Tools that the server ran (Groq)."""
    extra_content: dict[str, Any] | None = None
    """Gemini: `google.thought` marks thinking, `google.thought_signature` seals a part."""


class Choice(Struct, frozen=True, gc=False):
    """One choice in a chunk; `message` is a whole message in the place of a delta."""

    index: int = 0
    delta: Delta | None = None
    finish_reason: str | None = None
    logprobs: dict[str, Raw] | None = None
    message: Delta | None = None
    usage: dict[str, Any] | None = None
    """Moonshot."""
    error: Any = None
    """OpenRouter."""
    stop_reason: Any = None
    """vLLM: the stop sequence, or the number of a stop token."""
    text: str | None = None
    """Completions, the API before chat."""


class ChatChunk(Struct, frozen=True, gc=False):
    """One event of the stream."""

    id: str | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None
    x_groq: dict[str, Any] | None = None
    citations: list[Raw] | None = None
    """Perplexity, xAI: the sources so far, repeated on every chunk."""
    search_results: list[Raw] | None = None
    """Perplexity, repeated on every chunk."""
    moderation: dict[str, Raw] | None = None
    """OpenAI."""


class PlainDelta(Struct, frozen=True, gc=False):
    """Text, and nothing else that a `Delta` may hold."""

    content: str
    tool_calls: None = None
    reasoning_content: None = None
    reasoning: None = None
    reasoning_text: None = None
    refusal: None = None
    reasoning_details: None = None
    annotations: None = None
    function_call: None = None
    audio: None = None
    images: None = None
    executed_tools: None = None
    extra_content: None = None


class PlainChoice(Struct, frozen=True, gc=False):
    """A choice that goes on with text."""

    delta: PlainDelta
    index: int = 0
    finish_reason: None = None
    logprobs: None = None
    message: None = None
    usage: None = None
    error: None = None
    stop_reason: None = None
    text: None = None


class PlainChunk(Struct, frozen=True, gc=False):
    """A chunk of one choice with nothing but text: nearly every one.

    It has all fields of `ChatChunk` and of what is in it. So what decodes as this says nothing
    that is not here, and nobody need look at each field again.
    """

    choices: tuple[PlainChoice]
    id: str | None = None
    model: str | None = None
    usage: None = None
    error: None = None
    x_groq: None = None
    citations: None = None
    search_results: None = None
    moderation: None = None

    def widen(self) -> ChatChunk:
        """The same in the form that every chunk has."""
        choice = self.choices[0]
        return ChatChunk(
            self.id, self.model, [Choice(choice.index, Delta(content=choice.delta.content))]
        )


class WatchedChunk(ChatChunk, frozen=True, gc=False):
    """A chunk with fields that nothing here knows."""

    unknown: tuple[Unknown, ...] = ()


class ErrorChunk(Struct, frozen=True, gc=False):
    """An error reported inside the stream.

    Attributes:
        message: the provider's words.
        code: its error code, numbers as text.
        type: its class of error.
        status: an HTTP status inside the error.
        retry_after_s: seconds it asks to wait.
        data: the event as sent.
        chunk: what else the event carried (usage, a last delta).
    """

    message: str
    code: str | None = None
    type: str | None = None
    status: int | None = None
    retry_after_s: float | None = None
    data: bytes = b""
    chunk: ChatChunk | None = None
