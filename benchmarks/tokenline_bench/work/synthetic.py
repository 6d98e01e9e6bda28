"""Prompts that are made up: of set lengths, or the same one every time."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from .conversation import Conversation, Message, Turn
from .spec import FixedPrompt, Synthetic
from .words import make_text


class SyntheticPrompts:
    """A different prompt for every number; see `spec.Synthetic`."""

    size: int | None = None

    def __init__(self, spec: Synthetic, seed: int) -> None:
        self._spec = spec
        self._seed = seed
        shared = round(spec.shared_prefix_tokens * spec.words_per_token)
        self._prefix = make_text(shared, f"prefix:{seed}") + " " if shared else ""

    def conversation(self, number: int) -> Conversation:
        """One turn with a prompt of its own."""
        spec = self._spec
        rng = Random(f"length:{self._seed}:{number}")
        asked = spec.input_tokens + rng.randint(-spec.input_spread, spec.input_spread)
        words = max(1, round((asked - spec.shared_prefix_tokens) * spec.words_per_token))
        text = self._prefix + make_text(words, f"prompt:{self._seed}:{number}")
        turn = Turn(
            messages=(Message("user", text),),
            output_tokens=spec.output_tokens,
            input_tokens=asked,
        )
        return Conversation(turns=(turn,))

    def times_s(self) -> Sequence[float] | None:
        """No times of its own."""
        return None


class OnePrompt:
    """The same prompt for every number; see `spec.FixedPrompt`."""

    size: int | None = 1

    def __init__(self, spec: FixedPrompt) -> None:
        message = Message("user", spec.text)
        turn = Turn(messages=(message,), output_tokens=spec.output_tokens)
        self._conversation = Conversation(turns=(turn,))

    def conversation(self, number: int) -> Conversation:
        """The one there is."""
        return self._conversation

    def times_s(self) -> Sequence[float] | None:
        """No times of its own."""
        return None
