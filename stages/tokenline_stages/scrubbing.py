"""Takes secrets out of a recorded exchange: its URLs, headers, request body and error texts.

What counts as one, beside all that `tokenline.redaction` finds by name and by shape:

- every request header that is not known to be harmless;
- response headers and query parameters with a name like `x-session`, `x-functions-key` or `sig`;
- the user information of a URL.

Values found so are taken out wherever else they stand. Bodies of responses are not touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus

from tokenline.redaction import (
    MARK,
    header_values,
    hide_shapes,
    is_harmless_header,
    is_secret_name,
)

from .traces.cleaning import Cleaning, Rules

_UNLIMITED_BYTES = 1 << 60

_WORDS = frozenset(
    [
        *("assertion", "auth", "authentication", "authorization", "cookie", "credential"),
        *("credentials", "jwt", "key", "organization", "passphrase", "passwd", "password", "pwd"),
        *("secret", "session", "sid", "sig", "signature", "token"),
    ]
)
_ENDINGS = ("auth", "key", "session", "sessionid", "signature", "token")
_PIECES = (
    *("accesskey", "accesstoken", "apikey", "authorization", "cookie", "credential"),
    *("password", "secret"),
)
_QUERY_NAMES = frozenset({"code"})
"""Azure Functions take their key as `code`; so do sign-ins their one-time secret."""

_BODY_RULES = Rules(
    [
        *("auth", "authentication", "functionskey", "jwt", "sig", "token"),
        *("xauth", "xfunctionskey", "xsession"),
    ]
)
"""Fewer names than in headers: `prompt_cache_key` or `session_id` in a body are no secrets."""

_WORD_END = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
_USER_INFO = re.compile(r"(?<=//)[^/?#\s\"'<>]+(?=@)")
_URL_QUERY = re.compile(r"(?<=[?&#])(?P<name>[^=&#?]+)=(?P<value>[^&#]+)")
_TEXT_QUERY = re.compile(r"(?<=[?&#])(?P<name>[^=&#?\s\"'<>]{1,256})=(?P<value>[^&#\s\"'<>]+)")


class Scrubber:
    """Takes out the secrets of one request, and what looks like one, wherever they show up.

    Args:
        headers: the request's.
        body: the request's.
        url: the request's.
        secrets: further strings that must not show up, such as the client's key.
    """

    def __init__(
        self,
        headers: Mapping[str, str],
        body: Any = None,
        url: str = "",
        secrets: Iterable[str] = (),
    ) -> None:
        known = [*secrets, *_url_secrets(url), *header_values(headers)]
        # Of `Bearer TOKEN` the token alone is known too, of short values none.
        named = [{"secret": value} for value in known]
        self._cleaning = Cleaning(_BODY_RULES, _UNLIMITED_BYTES, named, {"headers": headers}, body)

    def url(self, url: str) -> str:
        """A URL without user information and without secrets in its query."""
        return self._cleaning.text(redact_url(url))

    def text(self, text: str) -> str:
        """Any text, the URLs in it included."""
        return self._cleaning.text(_without_url_secrets(text, _TEXT_QUERY))

    def data(self, data: Any) -> Any:
        """A copy of JSON-like data."""
        return self._cleaning.clean(data)

    def request_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Names of all, values only of those known to be harmless."""
        return {
            name: self.text(value) if is_harmless_header(name) else MARK
            for name, value in headers.items()
        }

    def response_headers(self, headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """All but the values of secret names."""
        return tuple((name, self._response_header(name, value)) for name, value in headers)

    def _response_header(self, name: str, value: str) -> str:
        if is_secret_parameter(name):
            return MARK
        return hide_shapes(value) if is_harmless_header(name) else self.text(value)


def redact_body(body: Mapping[str, Any]) -> Any:
    """A request's body, or a part of it, without secrets."""
    return Scrubber({}, body).data(body)


def redact_url(url: str) -> str:
    """A URL without user information and without the values of secret names in its query."""
    return hide_shapes(_without_url_secrets(url, _URL_QUERY))


def redact_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Request headers; only values of those known to be harmless stay."""
    return Scrubber(headers).request_headers(headers)


def is_secret_parameter(name: str) -> bool:
    """Whether a header or query parameter of this name is taken for a secret.

    Wider than `tokenline.redaction.is_secret_name`: here a name more costs little.
    """
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return (
        is_secret_name(name)
        or not _WORDS.isdisjoint(word.lower() for word in _WORD_END.split(name))
        or plain.endswith(_ENDINGS)
        or any(piece in plain for piece in _PIECES)
    )


def _is_secret_query(name: str) -> bool:
    name = unquote_plus(name)
    return is_secret_parameter(name) or name.lower() in _QUERY_NAMES


def _without_url_secrets(text: str, query: re.Pattern[str]) -> str:
    def hide(found: re.Match[str]) -> str:
        return f"{found['name']}={MARK}" if _is_secret_query(found["name"]) else found[0]

    return query.sub(hide, _USER_INFO.sub(MARK, text))


def _url_secrets(url: str) -> Iterator[str]:
    for found in _USER_INFO.findall(url):
        yield from (found, *found.split(":", 1)[1:])
    for match in _URL_QUERY.finditer(url):
        if _is_secret_query(match["name"]):
            yield from (match["value"], unquote_plus(match["value"]))
