"""The messages: what the view gives in place of events, and their JSON.

Names and fields are those that clients of Letta servers know (`message_type`, `id`, `otid`,
`date`, `tool_call` ...); `docs/message-view.md` lists what is added. Every field is always
written, absent ones as null. Messages are immutable structs, made for each event: the date is
text, formatted once for each batch.
"""

from enum import StrEnum
from typing import Literal

import msgspec

MessageType = Literal[
    "reasoning_message",
    "hidden_reasoning_message",
    "assistant_message",
    "tool_call_message",
    "approval_request_message",
    "stop_reason",
    "usage_statistics",
    "error_message",
    "ping",
    "reset",
]
"""The values of `message_type`."""


class StopReason(StrEnum):
    """Why the response is over."""

    END_TURN = "end_turn"
    REQUIRES_APPROVAL = "requires_approval"
    TOOL_RULE = "tool_rule"
    MAX_STEPS = "max_steps"
    MAX_TOKENS_EXCEEDED = "max_tokens_exceeded"
    INVALID_TOOL_CALL = "invalid_tool_call"
    NO_TOOL_CALL = "no_tool_call"
    INVALID_LLM_RESPONSE = "invalid_llm_response"
    LLM_API_ERROR = "llm_api_error"
    INSUFFICIENT_CREDITS = "insufficient_credits"
    CONTEXT_WINDOW_OVERFLOW = "context_window_overflow_in_system_prompt"
    ERROR = "error"
    CANCELLED = "cancelled"

    @property
    def run_status(self) -> Literal["completed", "failed", "cancelled"]:
        """What became of the run."""
        if self is StopReason.CANCELLED:
            return "cancelled"
        return "completed" if self in _COMPLETED else "failed"


_COMPLETED = frozenset(
    {
        StopReason.END_TURN,
        StopReason.REQUIRES_APPROVAL,
        StopReason.TOOL_RULE,
        StopReason.MAX_STEPS,
    }
)


class _Message(msgspec.Struct, frozen=True, gc=False, tag_field="message_type"):
    id: str
    date: str
    otid: str
    seq_id: int
    run_id: str | None = None
    step_id: str | None = None
    name: str | None = None
    sender_id: str | None = None
    is_err: bool | None = None

    @property
    def message_type(self) -> str:
        """What kind of message this is: `assistant_message`, `stop_reason` ..."""
        return str(self.__struct_config__.tag)


class ReasoningMessage(_Message, tag="reasoning_message", frozen=True, kw_only=True):
    """A piece of reasoning, byte for byte as sent.

    Attributes:
        reasoning: the piece.
        source: `reasoner_model` for the model's own reasoning; `non_reasoner_model` for thoughts
            written into the arguments of a tool call.
        signature: the provider's seal on the whole slice; on the slice's last message.
    """

    reasoning: str
    source: Literal["reasoner_model", "non_reasoner_model"] = "reasoner_model"
    signature: str | None = None


class HiddenReasoningMessage(_Message, tag="hidden_reasoning_message", frozen=True, kw_only=True):
    """Reasoning that nobody can read.

    Attributes:
        state: `redacted` if there is opaque content, `omitted` if the provider sends nothing.
        hidden_reasoning: the opaque content.
        signature: the provider's seal, if it sends one all the same.
    """

    state: Literal["redacted", "omitted"]
    hidden_reasoning: str | None = None
    signature: str | None = None


class AssistantMessage(_Message, tag="assistant_message", frozen=True, kw_only=True):
    """A piece of the answer.

    Attributes:
        content: the piece.
        refusal: whether these are the model's words for why it does not answer.
    """

    content: str
    refusal: bool = False


class ToolCallFragment(msgspec.Struct, frozen=True, gc=False):
    """A piece of a tool call; name and id are on every one.

    Attributes:
        name: the tool.
        arguments: a fragment of the JSON; the fragments of a call join to the whole text.
        tool_call_id: the call.
    """

    name: str
    arguments: str
    tool_call_id: str


class ToolCallMessage(_Message, tag="tool_call_message", frozen=True, kw_only=True):
    """A piece of a tool call.

    Attributes:
        tool_call: the piece.
        tool_calls: the same, where the view is asked to repeat it.
        complete: None while the call goes on. On its last message True, or False if the response
            was cut inside the call: it must not be run.
        tool_kind: who runs it: `function` and `custom` (free text) the caller, `server` the
            provider.
    """

    tool_call: ToolCallFragment
    tool_calls: ToolCallFragment | tuple[ToolCallFragment, ...] | None = None
    complete: bool | None = None
    tool_kind: str = "function"


class ApprovalRequestMessage(ToolCallMessage, tag="approval_request_message", frozen=True):
    """A piece of a tool call that somebody has to approve before it is run."""


class StopReasonMessage(_Message, tag="stop_reason", frozen=True, kw_only=True):
    """The response is over.

    Attributes:
        stop_reason: why.
        finish_reason: why the model stopped (`tokenline.FinishReason`), if it said so.
        raw_finish_reason: the provider's own word for it.
    """

    stop_reason: StopReason
    finish_reason: str | None = None
    raw_finish_reason: str | None = None


class UsageStatistics(_Message, tag="usage_statistics", frozen=True, kw_only=True):
    """Token counts of the response. None: not reported. Not reported totals count as 0.

    Attributes:
        completion_tokens: all output, reasoning included.
        prompt_tokens: all input, what was read from and written to a cache included.
        total_tokens: as reported, else the sum of the two.
        step_count: requests that these counts are for.
        run_ids: runs that these counts are for.
        cached_input_tokens: input read from the provider's cache.
        cache_write_tokens: input written to the provider's cache.
        reasoning_tokens: output spent on reasoning.
        reported: whether the provider reported any counts.
        estimated: the counts come from a local counter, not from the provider.
    """

    completion_tokens: int = 0
    prompt_tokens: int = 0
    total_tokens: int = 0
    step_count: int = 1
    run_ids: tuple[str, ...] | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    reported: bool = False
    estimated: bool = False


class ErrorMessage(_Message, tag="error_message", frozen=True, kw_only=True):
    """What the response failed of.

    Attributes:
        error_type: class of the failure, as in `docs/message-view.md`.
        message: one line that says what to do.
        detail: what the provider said of it: status and code.
        retryable: whether the same request may succeed if sent again.
    """

    error_type: str
    message: str
    detail: str | None = None
    retryable: bool = False


class PingMessage(_Message, tag="ping", frozen=True):
    """A sign of life."""


class ResetMessage(_Message, tag="reset", frozen=True, kw_only=True):
    """What came before is void: the response starts again. Drop all messages of this `id`.

    Attributes:
        attempt: number of the request that follows.
    """

    attempt: int


Message = (
    ReasoningMessage
    | HiddenReasoningMessage
    | AssistantMessage
    | ToolCallMessage
    | ApprovalRequestMessage
    | StopReasonMessage
    | UsageStatistics
    | ErrorMessage
    | PingMessage
    | ResetMessage
)
"""Every message of the view."""

TERMINAL_MESSAGES: frozenset[type] = frozenset(
    {StopReasonMessage, UsageStatistics, ErrorMessage, ResetMessage}
)
"""Messages that no filter holds back."""

CONTENT_MESSAGES: frozenset[type] = frozenset(
    {ReasoningMessage, AssistantMessage, ToolCallMessage, ApprovalRequestMessage}
)
"""Messages that count as content for the first-delivery stamp."""

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def encode_message(message: Message) -> bytes:
    """The message as JSON, all fields written."""
    return _encoder.encode(message)


def decode_message(data: bytes | str) -> Message:
    """The message in `data`; fields that this version does not know are passed over.

    Raises:
        msgspec.ValidationError: no message, or one of another type.
        msgspec.DecodeError: no JSON.
    """
    return _decoder.decode(data)
