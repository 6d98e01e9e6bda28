"""The message view: a response as typed messages with stable ids, for clients and screens.

An optional outlet: events in, messages out. `messages()` is a branch for a pipeline,
`MessageStream` reads it (or makes messages of any run), `messages_of` makes them of a result,
`sse_body` sends them. `docs/message-view.md` describes messages, ids and JSON.
"""

from .argument_split import ArgumentSplitter as ArgumentSplitter
from .failures import Failure as Failure
from .failures import describe_failure as describe_failure
from .keep_alive import KeepAlive as KeepAlive
from .message_log import LogReader as LogReader
from .message_log import MessageLog as MessageLog
from .messages import ApprovalRequestMessage as ApprovalRequestMessage
from .messages import AssistantMessage as AssistantMessage
from .messages import ErrorMessage as ErrorMessage
from .messages import HiddenReasoningMessage as HiddenReasoningMessage
from .messages import Message as Message
from .messages import MessageType as MessageType
from .messages import PingMessage as PingMessage
from .messages import ReasoningMessage as ReasoningMessage
from .messages import ResetMessage as ResetMessage
from .messages import StopReason as StopReason
from .messages import StopReasonMessage as StopReasonMessage
from .messages import ToolCallFragment as ToolCallFragment
from .messages import ToolCallMessage as ToolCallMessage
from .messages import UsageStatistics as UsageStatistics
from .messages import decode_message as decode_message
from .messages import encode_message as encode_message
from .options import STOP_REASONS as STOP_REASONS
from .options import MessageViewOptions as MessageViewOptions
from .partial_arguments import ArgumentsView as ArgumentsView
from .partial_arguments import GrowingArguments as GrowingArguments
from .partial_arguments import PartialArguments as PartialArguments
from .result_view import approvals_of as approvals_of
from .result_view import join_messages as join_messages
from .result_view import messages_of as messages_of
from .sse import DONE as DONE
from .sse import SseMessageDecoder as SseMessageDecoder
from .sse import encode_event as encode_event
from .sse import encode_sse as encode_sse
from .sse import sse_body as sse_body
from .stream import MessageStream as MessageStream
from .stream import message_view as message_view
from .stream import messages as messages
from .view import MessageView as MessageView
