"""The head of a request, in bytes (RFC 9112, sections 3 and 5)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from tokenline.errors import ConfigError

from .address import Address

_NAME_MARKS = str.maketrans("", "", "!#$%&'*+-.^_`|~")
_SET_BY_CLIENT = frozenset({"host", "content-length", "transfer-encoding"})


def encode_head(address: Address, headers: Mapping[str, str], body_bytes: int) -> bytes:
    """Request line and headers of a POST with a body of `body_bytes`.

    `host` and the body's length are the client's own; headers of these names are left out.

    Raises:
        ConfigError: a header that HTTP forbids. The message has its name, never its value.
    """
    lines = [
        f"POST {address.target} HTTP/1.1",
        f"host: {address.authority}",
        f"content-length: {body_bytes}",
        *[f"{name}: {headers[name]}" for name in headers if name.lower() not in _SET_BY_CLIENT],
    ]
    text = "\r\n".join(lines)
    breaks = len(lines) - 1
    clean = text.count("\n") == breaks and text.count("\r") == breaks and "\0" not in text
    for name in headers:
        if not _is_name(name):
            raise ConfigError(f"not a header name: {name!r}")
    try:
        if clean:
            return f"{text}\r\n\r\n".encode("latin-1")
    except UnicodeEncodeError:
        pass
    raise ConfigError(f"header {_bad_header(headers)!r} holds characters that HTTP forbids")


@lru_cache(maxsize=256)
def _is_name(name: str) -> bool:
    return name.isascii() and name.translate(_NAME_MARKS).isalnum()


def _bad_header(headers: Mapping[str, str]) -> str:
    for name, value in headers.items():
        if any(mark in value for mark in "\r\n\0") or any(ord(mark) > 255 for mark in value):
            return name
    return "(unknown)"
