"""What is asked: the forms of work."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from tokenline.errors import ConfigError
from tokenline_bench.limits import MOST_TOKENS, MOST_WORDS_PER_TOKEN, check_number

FileForm: TypeAlias = Literal["auto", "jsonl", "sharegpt", "conversations", "mooncake"]
History: TypeAlias = Literal["recorded", "live"]


class _Work(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    pass


class Synthetic(_Work, frozen=True, kw_only=True, tag="synthetic", forbid_unknown_fields=True):
    """Prompts of set lengths, each different from its first word, so that no cache helps.

    Lengths are in tokens, made of short common words. What a word comes to differs between
    tokenizers: the report shows what the server counted, `words_per_token` corrects it.

    Attributes:
        input_tokens: length of a prompt.
        input_spread: prompts are shorter or longer by up to this, evenly drawn.
        shared_prefix_tokens: length of a beginning that all prompts share, to meet caches.
        output_tokens: limit of the answer; None leaves it to the server.
        words_per_token: words that make a token.
    """

    input_tokens: int = 128
    input_spread: int = 0
    shared_prefix_tokens: int = 0
    output_tokens: int | None = 128
    words_per_token: float = 1.0

    def __post_init__(self) -> None:
        for name in ("input_tokens", "output_tokens"):
            check_number(name, getattr(self, name), MOST_TOKENS, least=1)
        for name in ("input_spread", "shared_prefix_tokens"):
            check_number(name, getattr(self, name), MOST_TOKENS)
        check_number("words_per_token", self.words_per_token, MOST_WORDS_PER_TOKEN, above=0)
        if self.input_spread >= self.input_tokens:
            raise ConfigError("input_spread must be smaller than input_tokens")
        if self.shared_prefix_tokens > self.input_tokens - self.input_spread:
            raise ConfigError(
                f"shared_prefix_tokens is {self.shared_prefix_tokens}; give no more than the"
                f" shortest prompt has: {self.input_tokens - self.input_spread}"
            )


class FixedPrompt(_Work, frozen=True, kw_only=True, tag="fixed", forbid_unknown_fields=True):
    """The same prompt every time; caches will answer where there are any.

    Attributes:
        text: the prompt.
        output_tokens: limit of the answer; None leaves it to the server.
    """

    text: str
    output_tokens: int | None = None

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ConfigError("the prompt is empty; give some text")
        check_number("output_tokens", self.output_tokens, MOST_TOKENS, least=1)


class PromptFile(_Work, frozen=True, kw_only=True, tag="file", forbid_unknown_fields=True):
    """Prompts, conversations or a timed trace from a file; see `tokenline_bench.work.files`.

    Attributes:
        path: of the file.
        form: what is in it; `auto` looks.
        output_tokens: limit of the answers that have none of their own.
        history: of conversations: the `recorded` answers, or the `live` ones.
        words_per_token: words that make a token, where text is made up (Mooncake traces).
        shuffle: in an order drawn from the seed.
    """

    path: str
    form: FileForm = "auto"
    output_tokens: int | None = None
    history: History = "recorded"
    words_per_token: float = 1.0
    shuffle: bool = False

    def __post_init__(self) -> None:
        check_number("output_tokens", self.output_tokens, MOST_TOKENS, least=1)
        check_number("words_per_token", self.words_per_token, MOST_WORDS_PER_TOKEN, above=0)


Work: TypeAlias = Synthetic | FixedPrompt | PromptFile
"""Any form of work."""
