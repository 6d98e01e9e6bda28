"""Everything that tokenline raises, in one tree.

- `TokenlineError`
    - `ConfigError`: a mistake on our side, found before any network use
        - `InvalidOptionError`: an option that there is not, or a value it cannot have
        - `WiringError`: a pipeline that does not fit together (names the stage)
        - `UnknownProviderError`: lists the known ones
        - `MissingKeyError`: no credentials
        - `UsageError`: a run or channel used in a way its contract forbids
    - `RemoteCause`: stands for the cause of an unpickled error that could not come along
    - `MessagesGoneError`: a viewer asked for messages that are kept no more
    - `StreamError`: the stream failed; carries what had arrived
        - `ConnectError`: no connection to the server
        - `NotAStreamError`: the server answered with something that is no event stream
        - `ProviderError`: the provider said no (by HTTP status or inside the stream)
            - `BadRequestError`, `ContextOverflowError`, `AuthenticationError`,
              `PermissionDeniedError`, `CreditsError`, `NotFoundError`, `RateLimitError`,
              `OverloadedError`, `ServerError`, `ContentFilterError`
        - `MalformedStreamError`: bytes that the wire format forbids
            - `UnknownEventError`: strict mode met something unknown
        - `LimitExceededError`: a documented limit was passed
        - `StreamCutError`: the connection or the response ended in the middle
        - `EmptyResponseError`: the response ended well but held nothing
        - `StageFailedError`: a user's stage or branch raised
        - `QueueFullError`: a queue with the `fail` policy was full
        - `StreamTimeoutError`: a time limit passed
            - `ConnectTimeoutError`, `HeadersTimeoutError`, `FirstTokenTimeoutError`,
              `IdleTimeoutError`, `StallTimeoutError`, `TotalTimeoutError`
        - `RunCancelledError`: somebody called `run.cancel()` while it was being read

Errors survive pickling and `copy`; `partial` (the result so far) and `__cause__` go with them.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Self

from .causes import PackedError, pack_cause, unpack

if TYPE_CHECKING:
    from .result import Result


def _rebuild(
    cls: type[TokenlineError], args: tuple[Any, ...], cause: PackedError | None = None
) -> TokenlineError:
    error = cls.__new__(cls, *args)
    Exception.__init__(error, *args)
    if cause is not None:
        error.__cause__ = unpack(cause)
    return error


_MOST_CHARS = 1000
_CONTROLS = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), "\ufffd")


class TokenlineError(Exception):
    """Base of all errors of this library. `str(error)` is one line that says what to do."""

    def __init__(self, message: str = "") -> None:
        super().__init__(" ".join(str(message).split()).translate(_CONTROLS))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, pack_cause(self)), dict(self.__dict__)

    def __copy__(self) -> Self:
        return self._twin(dict(self.__dict__))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        memo[id(self)] = twin = self._twin({})
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin

    def _twin(self, state: dict[str, Any]) -> Self:
        """Has the very same cause: a cause may be anything, also what cannot be copied."""
        twin = type(self).__new__(type(self), *self.args)
        Exception.__init__(twin, *self.args)
        twin.__dict__.update(state)
        twin.__cause__ = self.__cause__
        twin.__suppress_context__ = self.__suppress_context__
        return twin


class ConfigError(TokenlineError):
    """A mistake in how tokenline is set up or called."""


class InvalidOptionError(ConfigError, ValueError):
    """Options that cannot be. `options` are their names, as `timeouts.idle_s`."""

    def __init__(self, message: str, *, options: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.options = options


class WiringError(ConfigError):
    """Stages that do not fit together. `stage` is the name of the one to look at."""

    def __init__(self, message: str, *, stage: str | None = None) -> None:
        super().__init__(message)
        self.stage = stage


class UnknownProviderError(ConfigError):
    """No provider of that name. `known` lists those there are."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"unknown provider {name!r}; known providers: {', '.join(known)}")
        self.provider = name
        self.known = known


class MissingKeyError(ConfigError):
    """No credentials for a provider."""


class UsageError(ConfigError):
    """A run, channel or pipeline used against its contract."""


class RemoteCause(TokenlineError):
    """Stands for a cause that could not be pickled, or not be made again where it arrived.

    Attributes:
        type_name: of the cause, with its module.
        text: what `str` of it gave.
    """

    def __init__(self, type_name: str, text: str = "") -> None:
        super().__init__(f"{type_name}: {text}" if text else type_name)
        self.type_name = type_name
        self.text = text


class MessagesGoneError(TokenlineError):
    """A viewer asked for messages that a log keeps no more: show the response anew."""


class StreamError(TokenlineError):
    """The stream failed. What had arrived is in `partial`.

    Attributes:
        retryable: whether the same request may succeed if sent again.
        provider: name of the provider, if one was involved.
        status: HTTP status, if the server gave one.
        code: the provider's own error code or type, raw.
        request_id: the provider's request id, for its support.
        retry_after_s: how long the provider asks to wait.
        stage: name of the stage that raised it.
        attempts: how many attempts were made, this one included.
        partial: the `Result` so far, set when the run ends.
    """

    retryable = False

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        stage: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        # A server's words may be in it, of any length.
        message = message[:_MOST_CHARS] + "..." if len(message) > _MOST_CHARS else message
        super().__init__(message)
        self.provider = provider
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.stage = stage
        self.attempts = 1
        self.partial: Result | None = None
        if retryable is not None:
            self.retryable = retryable


class ConnectError(StreamError):
    """No connection: check the address, the network and whether the server runs."""

    retryable = True


class NotAStreamError(StreamError):
    """The answer is no event stream: check the URL and that the server supports streaming."""


class ProviderError(StreamError):
    """The provider reported an error that has no class of its own."""


class BadRequestError(ProviderError):
    """The provider rejects the request as it is (HTTP 400, 409, 413, 422)."""


class ContextOverflowError(BadRequestError):
    """The input does not fit the model's context window: shorten it."""


class AuthenticationError(ProviderError):
    """The key is missing, wrong or expired (HTTP 401)."""


class PermissionDeniedError(ProviderError):
    """The key may not do this (HTTP 403)."""


class CreditsError(ProviderError):
    """The account has no credit or quota left (HTTP 402 or by wording)."""


class NotFoundError(ProviderError):
    """No such model or path (HTTP 404): check the model's name and the base URL."""


class RateLimitError(ProviderError):
    """Too many requests (HTTP 429): wait `retry_after_s` if given."""

    retryable = True


class OverloadedError(ProviderError):
    """The provider is overloaded (HTTP 503, 529 or an in-stream event)."""

    retryable = True


class ServerError(ProviderError):
    """The provider failed inside (HTTP 5xx or an in-stream event)."""

    retryable = True


class ContentFilterError(ProviderError):
    """The provider's filter stopped the request or the response."""


class MalformedStreamError(StreamError):
    """Bytes that break the wire format. `offset` counts from the start of the response body."""

    retryable = True

    def __init__(self, message: str, *, offset: int | None = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.offset = offset


class UnknownEventError(MalformedStreamError):
    """Strict mode met an event or field that this version does not know."""

    retryable = False


class LimitExceededError(StreamError):
    """A limit on input from outside was passed. `limit` is the name of the option to raise."""

    def __init__(self, message: str, *, limit: str, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.limit = limit


class StreamCutError(StreamError):
    """The response ended before its end: the connection broke or the server stopped early."""

    retryable = True


class EmptyResponseError(StreamError):
    """The response ended well but held no content at all."""

    retryable = True


class StageFailedError(StreamError):
    """A stage or branch raised; `stage` names it and `__cause__` is the error itself."""


class QueueFullError(StreamError):
    """A queue with the `fail` overflow policy had no room."""


class StreamTimeoutError(StreamError):
    """A time limit passed before what it waits for came. `limit` is its name in `Timeouts`."""

    retryable = True
    limit = ""


class ConnectTimeoutError(StreamTimeoutError):
    """No connection in time (`Timeouts.connect_s`): check the address and the network."""

    limit = "connect_s"


class HeadersTimeoutError(StreamTimeoutError):
    """No response headers in time (`Timeouts.headers_s`)."""

    limit = "headers_s"


class FirstTokenTimeoutError(StreamTimeoutError):
    """No content in time (`Timeouts.first_token_s`); pings and empty chunks do not count."""

    limit = "first_token_s"


class IdleTimeoutError(StreamTimeoutError):
    """The provider sent no byte for too long (`Timeouts.idle_s`)."""

    limit = "idle_s"


class StallTimeoutError(StreamTimeoutError):
    """The provider sent no content for too long (`Timeouts.stall_s`), pings apart."""

    limit = "stall_s"


class TotalTimeoutError(StreamTimeoutError):
    """The run as a whole took too long (`Timeouts.total_s`)."""

    retryable = False
    limit = "total_s"


class RunCancelledError(StreamError):
    """The run was cancelled by `run.cancel()` while another task was reading it."""
