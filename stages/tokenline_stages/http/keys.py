"""Keys, addresses and headers out of arguments and environment variables."""

from __future__ import annotations

import os
from urllib.parse import urlsplit, urlunsplit

from .address import check_address


def find_key(given: str | None, *variables: str | None) -> str | None:
    """The key given, or that of the first variable that has one; None if there is none.

    White space around it is dropped: a key read from a file ends in a line break.
    """
    if given and given.strip():
        return given.strip()
    for name in variables:
        key = os.environ.get(name, "").strip() if name else ""
        if key:
            return key
    return None


def find_base_url(
    given: str | None, variable: str | None, default: str | None = None
) -> str | None:
    """The address given, else that of the variable, else the default; None if there is none.

    Raises:
        ConfigError: what is given or set is no address; the message names where it comes from.
    """
    if given:
        return check_address(given, "base_url")
    configured = os.environ.get(variable, "").strip() if variable else ""
    if variable and configured:
        return check_address(configured, variable)
    return default


def custom_headers(variable: str) -> dict[str, str]:
    """Headers that a user sets for all requests: a `Name: value` on each line of a variable.

    The variables (`OPENAI_CUSTOM_HEADERS`, `ANTHROPIC_CUSTOM_HEADERS`) are those of the SDKs.
    """
    headers = {}
    for line in os.environ.get(variable, "").splitlines():
        name, separator, value = line.partition(":")
        if separator and name.strip():
            headers[name.strip().lower()] = value.strip()
    return headers


def join_url(base_url: str, path: str) -> str:
    """`path`, which begins with a slash, below a base URL; a query of the base stays."""
    base = urlsplit(base_url)
    return urlunsplit(base._replace(path=base.path.rstrip("/") + path, fragment=""))
