"""Counts tokens for servers that report none: opt-in, in a worker thread, marked as estimates.

A `TokenCounter` counts one text; `CountedUsage` says which texts of a request and of a result
count, whatever the provider's form:

- input: 3 tokens for each message and 3 for the reply to come (OpenAI's recipe for chat models),
  every text of messages and instructions, and the JSON of tools, tool inputs and tool results;
- output: text, reasoning and refusals, and the name and arguments of tool calls.

Images, audio, files, seals and ids are not counted, nor is reasoning that the provider hides.
Each text is counted whole: counting fragments as they stream in gives too much.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, cast

import msgspec

from tokenline.errors import ConfigError
from tokenline.estimate import UsageEstimator
from tokenline.events import Usage
from tokenline.result import Answer, ReasoningPart, RefusalPart, Result, TextPart, ToolCall

_MESSAGE_TOKENS = 3
_REPLY_TOKENS = 3
_BYTES_PER_TOKEN = 4
_MAX_DEPTH = 64

_CONVERSATIONS = ("messages", "contents", "input")
_INSTRUCTIONS = ("system", "systemInstruction", "system_instruction", "instructions", "prompt")
_TOOLS = ("tools", "functions", "toolConfig")
_JSON = frozenset({"input", "args", "arguments", "response", "output", "json", "parameters"})
_NOT_TEXT = frozenset(
    (
        *("type", "role", "id", "tool_call_id", "tool_use_id", "call_id", "toolUseId", "status"),
        *("data", "bytes", "url", "image_url", "file_id", "file_data", "fileData", "format"),
        *("mime_type", "mimeType", "media_type", "inline_data", "inlineData", "source", "detail"),
        *("signature", "thoughtSignature", "thought_signature", "encrypted_content"),
        *("cache_control", "input_audio", "image", "document", "video", "images"),
    )
)


class TokenCounter(Protocol):
    """Counts the tokens of a text."""

    def count(self, text: str, model: str | None) -> int:
        """Tokens of `text` for `model`. Called in worker threads, by several at once."""
        ...


class ByteCounter:
    """One token for every four bytes of UTF-8, rounded up: no vocabulary, no download.

    A rule of thumb that suits English prose; other scripts and code come out too high or too low.
    """

    def count(self, text: str, model: str | None) -> int:
        """ceil(bytes / 4)."""
        return -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES_PER_TOKEN)


class TiktokenCounter:
    """OpenAI's tokenizer, from the extra `tokenline[tiktoken]`.

    It reads its vocabulary when it first counts, from the network unless `TIKTOKEN_CACHE_DIR`
    names a folder that has it.

    Args:
        encoding: a `tiktoken.Encoding` or its name; None goes by the model, with `o200k_base`
            for models that tiktoken does not know.

    Raises:
        ConfigError: tiktoken is not installed.
    """

    def __init__(self, encoding: Any | None = None) -> None:
        try:
            import tiktoken
        except ImportError as error:
            raise ConfigError("counting with tiktoken needs it; install tokenline[tiktoken]") from (
                error
            )
        self._tiktoken = tiktoken
        self._encoding = encoding
        self._by_model: dict[str | None, Any] = {}
        self._loading = threading.Lock()

    def count(self, text: str, model: str | None) -> int:
        """Tokens of `text`; markers of special tokens count as the text that they are."""
        return len(self._encoding_for(model).encode_ordinary(text))

    def _encoding_for(self, model: str | None) -> Any:
        found = self._by_model.get(model)
        if found is None:
            with self._loading:
                found = self._by_model[model] = self._load(model)
        return found

    def _load(self, model: str | None) -> Any:
        if self._encoding is not None and not isinstance(self._encoding, str):
            return self._encoding
        name = self._encoding
        if name is None:
            try:
                name = self._tiktoken.encoding_name_for_model(model or "")
            except KeyError:
                name = "o200k_base"
        return self._tiktoken.get_encoding(name)


class CountedUsage:
    """A `UsageEstimator` over a counter; see the module's docstring for what counts."""

    def __init__(self, counter: TokenCounter) -> None:
        self._counter = counter

    def estimate(self, payload: Mapping[str, Any], result: Result) -> Usage:
        """Count the request and what came back."""
        model = result.model or (payload.get("model") if isinstance(payload, Mapping) else None)
        model = model if isinstance(model, str) else None

        def count(texts: Iterator[str]) -> int:
            return sum(self._counter.count(text, model) for text in texts)

        reasoning = count(reasoning_texts(result))
        return Usage(
            input_tokens=overhead_tokens(payload) + count(input_texts(payload)),
            output_tokens=reasoning + count(answer_texts(result)),
            reasoning_tokens=reasoning,
        )


def as_estimator(counter: TokenCounter | UsageEstimator | None) -> UsageEstimator | None:
    """The estimator over a counter; one that estimates by itself stays as it is."""
    if counter is None:
        return None
    if hasattr(counter, "estimate"):
        return cast(UsageEstimator, counter)
    plain: Any = counter
    return CountedUsage(plain)


def overhead_tokens(payload: Mapping[str, Any]) -> int:
    """Tokens that mark the messages and the reply to come."""
    messages = 0
    for name in _CONVERSATIONS:
        conversation = payload.get(name)
        if isinstance(conversation, (list, tuple)):
            messages += len(conversation)
        elif isinstance(conversation, str):
            messages += 1
    return messages * _MESSAGE_TOKENS + _REPLY_TOKENS


def input_texts(payload: Mapping[str, Any]) -> Iterator[str]:
    """Every text of a request that the model reads, in any provider's form."""
    for name in (*_CONVERSATIONS, *_INSTRUCTIONS):
        yield from _texts(payload.get(name), _MAX_DEPTH)
    for name in _TOOLS:
        tools = payload.get(name)
        if tools:
            yield _as_json(tools)


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        if not value.startswith("data:"):
            yield value
    elif isinstance(value, (list, tuple)) and depth:
        for item in value:
            yield from _texts(item, depth - 1)
    elif isinstance(value, Mapping) and depth:
        for name, inner in value.items():
            if name in _JSON and isinstance(inner, Mapping):
                yield _as_json(inner)
            elif name not in _NOT_TEXT:
                yield from _texts(inner, depth - 1)


def _as_json(value: Any) -> str:
    try:
        return msgspec.json.encode(value, enc_hook=str).decode()
    except (TypeError, ValueError, RecursionError):
        return ""


def answer_texts(result: Result) -> Iterator[str]:
    """The texts of a result but for reasoning."""
    for answer in _answers(result):
        for part in answer.content:
            if isinstance(part, (TextPart, RefusalPart)):
                yield part.text
            elif isinstance(part, ToolCall):
                yield part.name
                yield part.arguments


def reasoning_texts(result: Result) -> Iterator[str]:
    """The reasoning that can be read."""
    for answer in _answers(result):
        for part in answer.parts(ReasoningPart):
            yield part.text


def _answers(result: Result) -> tuple[Answer, ...]:
    return (result, *result.further_choices)
