"""Why a request never got a usable answer, as typed errors; the same for every HTTP client."""

from __future__ import annotations

import ssl

from tokenline.errors import (
    ConfigError,
    ConnectError,
    ConnectTimeoutError,
    HeadersTimeoutError,
    LimitExceededError,
    NotAStreamError,
    TokenlineError,
)
from tokenline_stages.provider_errors import one_line

_HANGING_UP = ("disconnected", "closed connection")
"""What httpcore says of a server that hangs up, by the same exception as of one that babbles."""

_MANY_HEADERS = "too many headers"
"""What aiohttp says of them, by the same exception as of any other bad head."""


def connect_timeout(provider: str, where: str) -> ConnectTimeoutError:
    """No connection in time."""
    return ConnectTimeoutError(
        f"{provider}: no connection to {where} in time; check that the server runs and can be"
        " reached",
        provider=provider,
    )


def unreachable(provider: str, where: str, error: BaseException) -> ConnectError:
    """No connection."""
    cause = root_cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return ConnectError(
            f"{provider}: the certificate of {where} is not trusted ({cause.verify_message});"
            " check the address, or set SSL_CERT_FILE to the roots that sign it",
            provider=provider,
            retryable=False,
        )
    return ConnectError(
        f"{provider}: cannot reach {where} ({_words(cause)}); check the address and that the"
        " server runs",
        provider=provider,
    )


def hung_up(provider: str, where: str, error: BaseException) -> ConnectError:
    """The server was reached, and the connection ended before its answer."""
    return ConnectError(
        f"{provider}: {where} was reached but did not answer: {_words(root_cause(error))}; send"
        " the request again",
        provider=provider,
    )


def unreadable(provider: str, where: str, error: BaseException) -> NotAStreamError:
    """What came back is no HTTP."""
    return NotAStreamError(
        f"{provider}: the answer of {where} cannot be read ({_words(root_cause(error))}); check"
        " the address and that it speaks HTTP/1.1",
        provider=provider,
    )


def head_too_large(provider: str, where: str, error: BaseException) -> LimitExceededError:
    """The answer's head is larger than anything a provider sends."""
    return LimitExceededError(
        f"{provider}: the answer of {where} cannot be read: {_words(root_cause(error))}; check the"
        " address",
        limit="MAX_HEAD_BYTES",
        provider=provider,
    )


def unwritable(provider: str, error: BaseException) -> ConfigError:
    """The payload or a header cannot be sent as it is."""
    return ConfigError(
        f"{provider}: the request cannot be written ({_words(root_cause(error))}); the payload must"
        " be JSON, and headers plain text"
    )


def client_failure(provider: str, where: str, error: Exception) -> TokenlineError:
    """The error for whatever an SDK's client raised instead of giving a response.

    It goes by the names of exceptions, which httpx2, httpx, httpcore and aiohttp share: the
    client may be the user's, over any of them.
    """
    chain = _chain(error)
    names = {type(link).__name__ for link in chain}
    if names & {"ReadTimeout", "WriteTimeout"}:
        return _no_answer_in_time(provider, where)
    if any("Timeout" in name for name in names):
        return connect_timeout(provider, where)
    if "LineTooLong" in names or _MANY_HEADERS in str(chain[-1]).lower():
        return head_too_large(provider, where, error)
    if names & {"ConnectError", "ProxyError", "gaierror"}:
        return unreachable(provider, where, error)
    if names & {"ReadError", "WriteError", "CloseError", "ServerDisconnectedError"}:
        return hung_up(provider, where, error)
    if "RemoteProtocolError" in names:
        hangs_up = any(word in str(chain[-1]).lower() for word in _HANGING_UP)
        return (hung_up if hangs_up else unreadable)(provider, where, error)
    if "LocalProtocolError" in names or _is_unwritable(chain[-1]):
        return unwritable(provider, error)
    if isinstance(chain[-1], OSError):
        return unreachable(provider, where, error)
    return ConnectError(
        f"{provider}: the request could not be sent: {_words(chain[-1])}",
        provider=provider,
        retryable=False,
    )


def root_cause(error: BaseException) -> BaseException:
    """The first error of a chain of causes."""
    return _chain(error)[-1]


def _chain(error: BaseException) -> list[BaseException]:
    chain = [error]
    while chain[-1].__cause__ is not None and len(chain) < 100:
        chain.append(chain[-1].__cause__)
    return chain


def _is_unwritable(error: BaseException) -> bool:
    kinds = (TypeError, ValueError, RecursionError)
    return isinstance(error, kinds) and not isinstance(error, OSError)


def _no_answer_in_time(provider: str, where: str) -> HeadersTimeoutError:
    return HeadersTimeoutError(
        f"{provider}: no answer of {where} within the client's own time limit; raise its `timeout`",
        provider=provider,
    )


def _words(error: BaseException) -> str:
    return one_line(str(error)) or type(error).__name__
