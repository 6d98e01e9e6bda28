"""Stream LLM responses through an actor pipeline and see where every millisecond went.

This package runs stages and knows no provider; `tokenline_stages` has the stages and providers:

    source -> parser -> normalizer -> fan-out -> consumer      (your `async for`)
                                              -> accumulator   (`await run.result()`)
                                              -> trace emitter (spans, metrics, records)

General layout, in the order a reader wants it: `events` (the vocabulary), `result`, `errors`,
`options`; `builder` -> `pipeline` -> `run` (what users call); `supervisor`, `attempt`, `actor`,
`channel`, `reader` (how it runs); `meter`, `record`, `telemetry` (what it tells).
"""

from .batch import Batch as Batch
from .builder import PipelineBuilder as PipelineBuilder
from .channel import Channel as Channel
from .channel import ChannelBrokenError as ChannelBrokenError
from .channel import ChannelStats as ChannelStats
from .channel import EndOfChannel as EndOfChannel
from .clock import Clock as Clock
from .errors import AuthenticationError as AuthenticationError
from .errors import BadRequestError as BadRequestError
from .errors import ConfigError as ConfigError
from .errors import ConnectError as ConnectError
from .errors import ConnectTimeoutError as ConnectTimeoutError
from .errors import ContentFilterError as ContentFilterError
from .errors import ContextOverflowError as ContextOverflowError
from .errors import CreditsError as CreditsError
from .errors import EmptyResponseError as EmptyResponseError
from .errors import FirstTokenTimeoutError as FirstTokenTimeoutError
from .errors import HeadersTimeoutError as HeadersTimeoutError
from .errors import IdleTimeoutError as IdleTimeoutError
from .errors import InvalidOptionError as InvalidOptionError
from .errors import LimitExceededError as LimitExceededError
from .errors import MalformedStreamError as MalformedStreamError
from .errors import MessagesGoneError as MessagesGoneError
from .errors import MissingKeyError as MissingKeyError
from .errors import NotAStreamError as NotAStreamError
from .errors import NotFoundError as NotFoundError
from .errors import OverloadedError as OverloadedError
from .errors import PermissionDeniedError as PermissionDeniedError
from .errors import ProviderError as ProviderError
from .errors import QueueFullError as QueueFullError
from .errors import RateLimitError as RateLimitError
from .errors import RemoteCause as RemoteCause
from .errors import RunCancelledError as RunCancelledError
from .errors import ServerError as ServerError
from .errors import StageFailedError as StageFailedError
from .errors import StallTimeoutError as StallTimeoutError
from .errors import StreamCutError as StreamCutError
from .errors import StreamError as StreamError
from .errors import StreamTimeoutError as StreamTimeoutError
from .errors import TokenlineError as TokenlineError
from .errors import TotalTimeoutError as TotalTimeoutError
from .errors import UnknownEventError as UnknownEventError
from .errors import UnknownProviderError as UnknownProviderError
from .errors import UsageError as UsageError
from .errors import WiringError as WiringError
from .events import Citation as Citation
from .events import Event as Event
from .events import Finish as Finish
from .events import FinishReason as FinishReason
from .events import Logprobs as Logprobs
from .events import MessageEnd as MessageEnd
from .events import MessageStart as MessageStart
from .events import PartEnd as PartEnd
from .events import PartKind as PartKind
from .events import PartStart as PartStart
from .events import Ping as Ping
from .events import ProviderBlock as ProviderBlock
from .events import ProviderDelta as ProviderDelta
from .events import ReasoningData as ReasoningData
from .events import ReasoningDelta as ReasoningDelta
from .events import ReasoningKind as ReasoningKind
from .events import ReasoningSignature as ReasoningSignature
from .events import RefusalDelta as RefusalDelta
from .events import Reset as Reset
from .events import TextDelta as TextDelta
from .events import ToolCallDelta as ToolCallDelta
from .events import ToolCallEnd as ToolCallEnd
from .events import ToolCallStart as ToolCallStart
from .events import ToolKind as ToolKind
from .events import UnknownEvent as UnknownEvent
from .events import Usage as Usage
from .events import UsageUpdate as UsageUpdate
from .limiter import Bounds as Bounds
from .limiter import Limiter as Limiter
from .options import Capacity as Capacity
from .options import Execution as Execution
from .options import Limits as Limits
from .options import Overflow as Overflow
from .options import RunOptions as RunOptions
from .pipeline import Branch as Branch
from .pipeline import Pipeline as Pipeline
from .pipeline import Route as Route
from .policy import AfterCommit as AfterCommit
from .policy import HedgePolicy as HedgePolicy
from .policy import Leaving as Leaving
from .policy import OnLeave as OnLeave
from .policy import RetryPolicy as RetryPolicy
from .policy import Timeouts as Timeouts
from .record import Outcome as Outcome
from .record import RunInfo as RunInfo
from .record import RunRecord as RunRecord
from .record import StageKind as StageKind
from .record import StageRecord as StageRecord
from .record import Timings as Timings
from .result import Result as Result
from .run import Run as Run
from .source import ByteStream as ByteStream
from .source import Request as Request
from .source import Source as Source
from .stage import AsyncStep as AsyncStep
from .stage import FailureStep as FailureStep
from .stage import RawChunk as RawChunk
from .stage import Stage as Stage
from .stage import StageSpec as StageSpec
from .stage import Step as Step
from .stage import StepContext as StepContext
from .supervisor import wait_detached as wait_detached
