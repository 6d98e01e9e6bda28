"""What the message view shows and how; checked when it is made."""

from collections.abc import Callable, Mapping
from typing import Self

from pydantic import Field, model_validator

from tokenline.events import FinishReason
from tokenline.options import Options

from .messages import MessageType, StopReason

STOP_REASONS: Mapping[FinishReason, StopReason] = {
    FinishReason.STOP: StopReason.END_TURN,
    FinishReason.LENGTH: StopReason.MAX_TOKENS_EXCEEDED,
    FinishReason.TOOL_CALLS: StopReason.END_TURN,
    FinishReason.CONTENT_FILTER: StopReason.INVALID_LLM_RESPONSE,
    FinishReason.REFUSAL: StopReason.INVALID_LLM_RESPONSE,
    FinishReason.PAUSE: StopReason.END_TURN,
    FinishReason.CONTEXT_OVERFLOW: StopReason.MAX_TOKENS_EXCEEDED,
    FinishReason.MALFORMED_TOOL_CALL: StopReason.INVALID_TOOL_CALL,
    FinishReason.ERROR: StopReason.LLM_API_ERROR,
    FinishReason.OTHER: StopReason.END_TURN,
}
"""The stop reason of each finish reason; of none at all: `end_turn`."""


class MessageViewOptions(Options):
    """How events become messages.

    Attributes:
        use_assistant_message: stream an argument of a tool as the assistant's text; the call
            itself is not shown then.
        assistant_tool: name of that tool.
        assistant_key: name of that argument.
        inner_thoughts_key: stream this argument of every tool as reasoning and take it out of
            the arguments; None leaves arguments as they are.
        requires_approval_tools: names of tools, or a function that tells by the name; their
            calls come as approval requests.
        message_types: show these only; None shows all. The end of the response, failures and
            restarts are always shown.
        stop_reasons: stop reasons that differ from `STOP_REASONS`.
        repeat_tool_calls: fill `tool_calls` too, for clients that read that field.
        choice: which choice of a request with n > 1 to show.
        first_seq_id: `seq_id` of the first message.
    """

    use_assistant_message: bool = False
    assistant_tool: str = "send_message"
    assistant_key: str = "message"
    inner_thoughts_key: str | None = None
    requires_approval_tools: frozenset[str] | Callable[[str], bool] = frozenset()
    message_types: frozenset[MessageType] | None = None
    stop_reasons: Mapping[FinishReason, StopReason] = Field(default_factory=dict)
    repeat_tool_calls: bool = False
    choice: int = 0
    first_seq_id: int = 1

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        if self.use_assistant_message and self.inner_thoughts_key == self.assistant_key:
            raise ValueError(
                f"{self.assistant_key!r} cannot be the argument for inner thoughts and the one"
                " for the assistant's text; name two"
            )
        return self

    def requires_approval(self, tool: str) -> bool:
        """Whether calls of this tool need approval."""
        asked = self.requires_approval_tools
        return asked(tool) if callable(asked) else tool in asked

    def speaks(self, tool: str) -> bool:
        """Whether calls of this tool are shown as the assistant's text."""
        return self.use_assistant_message and tool == self.assistant_tool

    def stop_reason(self, reason: FinishReason | None) -> StopReason:
        """The stop reason of a finish reason."""
        if reason is None:
            return StopReason.END_TURN
        return self.stop_reasons.get(reason) or STOP_REASONS[reason]
