"""An answer's content before any wire format: the tokens of a plan, in the order they are sent."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from hashlib import sha256
from itertools import pairwise
from random import Random

from .plan import Plan, ToolCall

_SENTENCE = (
    "the stream of tokens flows quietly from one end to another while every byte is counted and"
    " each measured moment keeps its place Grüße naïve façade Ωmega поток данных 数据 流 トークン"
    " 한국어 שלום ελπίδα 🚀 👩\u200d🚀 🇨🇭 ✅ é ñandú"
)
_WORDS = tuple(_SENTENCE.split())
_WORD = re.compile(r"\s*\S+|\s+")


class Part(Enum):
    """What a token belongs to."""

    REASONING = auto()
    TEXT = auto()
    CALL = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of content; `call` is the index of its tool call."""

    part: Part
    text: str
    call: int = -1


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call with its arguments in pieces."""

    id: str
    name: str
    fragments: tuple[str, ...]

    @property
    def arguments(self) -> str:
        """The arguments in one piece."""
        return "".join(self.fragments)

    def pieces(self, whole: bool) -> tuple[str, ...]:
        """The arguments in their pieces, or as one; at least one piece, maybe empty."""
        return (self.arguments,) if whole else self.fragments or ("",)


@dataclass(frozen=True, slots=True)
class Answer:
    """All content of one answer. `finish` is our word for the reason, or a raw one."""

    reasoning: tuple[str, ...]
    text: tuple[str, ...]
    calls: tuple[Call, ...]
    interleaved: bool
    finish: str
    signature: str
    input_tokens: int
    cached_tokens: int

    @property
    def output_tokens(self) -> int:
        """How many tokens to report, reasoning and tool arguments included."""
        calls = sum(len(call.fragments) for call in self.calls)
        return len(self.reasoning) + len(self.text) + calls

    def tokens(self, whole_calls: bool = False) -> Iterator[Token]:
        """The content in order: reasoning, text, tool calls.

        A call with no arguments still has one token, with empty text, so that it is sent.
        `whole_calls` is for the APIs that send a call's arguments in one piece.
        """
        for text in self.reasoning:
            yield Token(Part.REASONING, text)
        for text in self.text:
            yield Token(Part.TEXT, text)
        pieces = [
            [Token(Part.CALL, text, index) for text in call.pieces(whole_calls)]
            for index, call in enumerate(self.calls)
        ]
        yield from _in_turn(pieces) if self.interleaved else (t for call in pieces for t in call)


def _in_turn(pieces: list[list[Token]]) -> Iterator[Token]:
    for position in range(max(map(len, pieces), default=0)):
        for call in pieces:
            if position < len(call):
                yield call[position]


def compose(plan: Plan, max_tokens: int | None = None) -> Answer:
    """The content a plan asks for; `max_tokens` is the request's own limit on the text."""
    text = _words(plan.text, plan.tokens, f"text:{plan.seed}")
    cut = max_tokens is not None and len(text) > max_tokens
    if cut:
        text = text[:max_tokens]
    calls = tuple(_call(call, f"{plan.seed}:{n}") for n, call in enumerate(plan.calls))
    finish = "length" if cut else "tool_calls" if calls else "stop"
    return Answer(
        reasoning=_words(plan.reasoning_text, plan.reasoning_tokens, f"reasoning:{plan.seed}"),
        text=text,
        calls=calls,
        interleaved=plan.interleaved,
        finish=plan.finish_reason or finish,
        signature=base64.b64encode(sha256(f"{plan.seed}".encode()).digest() * 3).decode(),
        input_tokens=plan.input_tokens,
        cached_tokens=plan.cached_tokens,
    )


def _words(text: str | None, count: int, seed: str) -> tuple[str, ...]:
    if text is not None:
        return tuple(_WORD.findall(text))
    words = Random(seed).choices(_WORDS, k=count)
    return tuple(word if n == 0 else " " + word for n, word in enumerate(words))


def _call(call: ToolCall, seed: str) -> Call:
    id_ = call.id or "call_" + sha256(f"call:{seed}".encode()).hexdigest()[:24]
    return Call(id_, call.name, _pieces(call.arguments, call.fragments))


def _pieces(text: str, count: int) -> tuple[str, ...]:
    count = min(count, len(text))
    if not count:
        return ()
    bounds = [len(text) * n // count for n in range(count + 1)]
    return tuple(text[a:b] for a, b in pairwise(bounds))
