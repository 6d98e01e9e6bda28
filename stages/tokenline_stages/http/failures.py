"""Why a request never got an answer, as typed errors; the same for every HTTP client."""

from __future__ import annotations

import ssl

from tokenline.errors import ConnectError, ConnectTimeoutError


def connect_timeout(provider: str, where: str) -> ConnectTimeoutError:
    """No connection in time."""
    return ConnectTimeoutError(
        f"{provider}: no connection to {where} in time; check that the server runs and can be"
        " reached",
        provider=provider,
    )


def unreachable(provider: str, where: str, error: BaseException) -> ConnectError:
    """No connection, or it broke before the answer."""
    cause = root_cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return ConnectError(
            f"{provider}: the certificate of {where} is not trusted ({cause.verify_message});"
            " check the address, or set SSL_CERT_FILE to the roots that sign it",
            provider=provider,
            retryable=False,
        )
    return ConnectError(
        f"{provider}: cannot reach {where} ({_first_line(cause)}); check the address and that the"
        " server runs",
        provider=provider,
    )


def unsendable(provider: str, error: BaseException) -> ConnectError:
    """The request could not be sent for a reason that a second try will not mend."""
    return ConnectError(
        f"{provider}: the request could not be sent: {_first_line(root_cause(error))}",
        provider=provider,
        retryable=False,
    )


def root_cause(error: BaseException) -> BaseException:
    """The first error of a chain of causes."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
