"""How a Messages response that broke off is continued: by prefilling the assistant's turn.

docs.anthropic.com, "Prefill Claude's response": the last message may be the beginning of the
answer. Text only: a started tool call or thinking cannot be handed back half done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenline.result import Result, TextPart


def continue_messages(payload: Mapping[str, Any], so_far: Result) -> Mapping[str, Any] | None:
    """The request that goes on after what had arrived; None if that cannot be continued.

    Trailing white space is left out, as the API demands; newer models refuse any prefill, which
    then ends the run with their error.
    """
    if not all(isinstance(part, TextPart) for part in so_far.content):
        return None
    said = so_far.text.rstrip()
    if not said:
        return None
    messages = [*payload.get("messages", ()), {"role": "assistant", "content": said}]
    return {**payload, "messages": messages}
