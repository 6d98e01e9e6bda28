"""From a spec to the work itself."""

from __future__ import annotations

from .conversation import Source
from .files import FilePrompts
from .spec import FixedPrompt, PromptFile, Synthetic, Work
from .synthetic import OnePrompt, SyntheticPrompts


def open_work(spec: Work, seed: int) -> Source:
    """The work that a spec describes.

    Raises:
        ConfigError: its file cannot be read or has the wrong form.
    """
    match spec:
        case Synthetic():
            return SyntheticPrompts(spec, seed)
        case FixedPrompt():
            return OnePrompt(spec)
        case PromptFile():
            return FilePrompts(spec, seed)
