"""Secrets in text and data: found by the names they go under, by their shapes and by value.

What is found is replaced by `MARK`. Names are compared without regard to case, `-` and `_`.
Shapes are those of keys and tokens in circulation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

MARK = "[redacted]"

_SHORTEST_CHARS = 6
"""A shorter value is no secret worth the name, and hiding it would spoil the text around it."""

_DEEPEST = 64

_NAMES = frozenset(
    [
        "authorization",
        "proxyauthorization",
        "apikey",
        "xapikey",
        "xgoogapikey",
        "ocpapimsubscriptionkey",
        "accesskey",
        "accesstoken",
        "authtoken",
        "bearertoken",
        "refreshtoken",
        "idtoken",
        "sessiontoken",
        "xamzsecuritytoken",
        "xauthtoken",
        "secret",
        "clientsecret",
        "password",
        "passwd",
        "passphrase",
        "privatekey",
        "credential",
        "credentials",
        "bearer",
        "pwd",
        "connectionstring",
        "cookie",
        "setcookie",
        "signingkey",
    ]
)
_ENDINGS = (
    # Not every `..._token`: `eos_token` and `pad_token` are pieces of text.
    "apitoken",
    "authorizationtoken",
    "bottoken",
    "githubtoken",
    "hftoken",
    "oauthtoken",
    "servicetoken",
    "authkey",
    "apikey",
    "secret",
    "secretkey",
    "password",
    "accesskey",
    "accesskeyid",
    "accesstoken",
    "authtoken",
    "refreshtoken",
    "sessiontoken",
    "subscriptionkey",
    "privatekey",
)

_HEADER_MAPS = frozenset({"headers", "extraheaders", "defaultheaders", "httpheaders"})
_HARMLESS_HEADERS = frozenset(
    {
        *("accept", "acceptencoding", "acceptlanguage", "contenttype", "contentlength", "host"),
        *("useragent", "connection", "anthropicversion", "anthropicbeta", "openaibeta"),
        *("xtokenlineplan", "xtokenlinerecording", "traceparent", "tracestate"),
    }
)

_SECRET = r"(?P<secret>%s)"
_NOT_IN_WORD = r"(?<![A-Za-z0-9])"


def _token(lead: str, least_chars: int, chars: str = r"[\w-]") -> re.Pattern[str]:
    """A token that opens with `lead` and, unlike a word, holds a digit."""
    body = rf"{lead}(?={chars}*\d){chars}{{{least_chars},}}"
    return re.compile(_NOT_IN_WORD + _SECRET % body, re.ASCII)


_NAMED = re.compile(
    # name, separator, scheme; in JSON that stands inside a string the quotes are escaped
    r"""[\w-]*\\*["']?\s*[:=]\s*\\*["']?(?:(?:bearer|basic|token|apikey|key)\s+)?+"""
    r"""(?P<secret>(?!\[)[^\s"'\\,;&{}<>]{6,})""",
    re.IGNORECASE,
)
_AFTER_KEY = re.compile(r"key=(?P<secret>(?!\[)[^&\s\"']+)")

_Shape = tuple[str, re.Pattern[str]]

_NAMES_IN_TEXT = (
    *("authorization", "api_key", "api-key", "apikey", "secret", "access_key", "access-key"),
    *("access_token", "access-token", "auth_token", "refresh_token", "session_token"),
    *("password", "passwd", "cookie"),
)
_SHAPES: tuple[tuple[str, tuple[_Shape, ...]], ...] = (
    (
        ":=",
        (
            *((name, _NAMED) for name in _NAMES_IN_TEXT),
            ("?key=", re.compile(r"\?" + _AFTER_KEY.pattern)),
            ("&key=", re.compile("&" + _AFTER_KEY.pattern)),
            ("://", re.compile(r"://[^/\s:@]{0,64}:(?P<secret>[^/\s]+)@")),
        ),
    ),
    (
        "-",
        (
            ("sk-", _token("sk-", 16)),  # OpenAI, Anthropic, OpenRouter, DeepSeek ...
            ("xai-", _token("xai-", 16)),
            ("pplx-", _token("pplx-", 16)),  # Perplexity
            ("nvapi-", _token("nvapi-", 16)),
            ("xox", _token("xox[abeprs]-", 10)),  # Slack
            (
                "-----begin",
                re.compile(
                    r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?P<secret>.*?)(?:-----END|\Z)", re.DOTALL
                ),
            ),
        ),
    ),
    (
        "_",
        (
            ("gsk_", _token("gsk_", 16)),  # Groq
            ("hf_", _token("hf_", 16)),  # Hugging Face
            ("gh", _token("gh[opsur]_", 16)),  # GitHub
            ("github_pat_", _token("github_pat_", 16)),
        ),
    ),
    (
        "",
        (
            (
                "bearer ",
                re.compile(r"bearer\s+(?P<secret>(?=\S*\d)[\w.~+/=-]{8,})", re.IGNORECASE),
            ),
            ("akia", _token("AKIA", 16, "[0-9A-Z]")),  # AWS
            ("asia", _token("ASIA", 16, "[0-9A-Z]")),
            ("aiza", _token("AIza", 30)),  # Google
            ("ya29.", _token(r"ya29\.", 20)),
            ("eyj", re.compile(_SECRET % r"eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*")),  # RFC 7519
        ),
    ),
)
"""Characters, one of which a text must have for the shapes beside them. A shape is a needle in
lower case and the pattern that is tried at its place; the pattern's group `secret` is hidden.

Looking for needles is many times faster than running patterns over long texts, and no single
step holds the interpreter for long.
"""


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether what goes under this name (of a header, a field ...) is a secret."""
    plain = _plain(name)
    return plain in _NAMES or plain.endswith(_ENDINGS)


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").replace(" ", "")


@lru_cache(maxsize=1024)
def is_header_map(name: str) -> bool:
    """Whether what goes under this name are HTTP headers, whose values are kept nowhere."""
    return _plain(name) in _HEADER_MAPS


def is_harmless_header(name: str) -> bool:
    """Whether a request header of this name is known never to hold a secret."""
    return _plain(name) in _HARMLESS_HEADERS


def header_values(headers: Any) -> Iterator[str]:
    """The values of headers in any of their forms that could be secret.

    A mapping, pairs of name and value, or objects with `name` and `value`.
    """
    pairs: Iterable[Any] = headers.items() if isinstance(headers, Mapping) else headers
    for pair in pairs if isinstance(pairs, Iterable) and not isinstance(pairs, str) else ():
        if isinstance(pair, Mapping):
            pair = (pair.get("name", pair.get("key", "")), pair.get("value"))
        if isinstance(pair, (tuple, list)) and len(pair) == 2:
            name, value = pair
            if isinstance(value, str) and not is_harmless_header(str(name)):
                yield value


def hide_shapes(text: str, start: int = 0) -> str:
    """`text` from `start` on, without what looks like a key, a token or a password.

    A secret that lies across `start` is hidden: it is looked for in the whole text.
    """
    # The only letter that gets longer in lower case would shift all places after it.
    lower = text.replace("\u0130", "I").lower()
    spans: list[tuple[int, int]] = []
    for needed, shapes in _SHAPES:
        if not needed or any(char in text for char in needed):
            for needle, pattern in shapes:
                if needle in lower:
                    spans += _spans(text, lower, needle, pattern)
    return _without(text, spans, start) if spans else text[start:]


def _spans(
    text: str, lower: str, needle: str, pattern: re.Pattern[str]
) -> Iterator[tuple[int, int]]:
    at = lower.find(needle)
    while at >= 0:
        found = pattern.match(text, at)
        if found is not None:
            yield found.span("secret")
        at = lower.find(needle, found.end() if found is not None else at + 1)


def _without(text: str, spans: list[tuple[int, int]], kept_to: int) -> str:
    pieces: list[str] = []
    for start, end in sorted(span for span in spans if span[1] > kept_to):
        if start >= kept_to or not pieces:
            pieces += (text[kept_to:start], MARK)
        kept_to = max(kept_to, end)
    return "".join(pieces) + text[kept_to:]


def hide_values(text: str, secrets: Iterable[str]) -> str:
    """`text` without these very strings."""
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, MARK)
    return text


def secret_values(data: Any, is_secret: Callable[[str], bool] = is_secret_name) -> set[str]:
    """The strings that stand under secret names in JSON-like data or headers.

    Only texts right under the name count: a schema under `properties: {password: ...}` is none.
    Under `headers` and the like every value counts, but for names known to be harmless.
    """
    found: set[str] = set()
    level = [data]
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, (dict, Mapping)):
                for name, value in item.items():
                    _take_member(name, value, is_secret, found, inner)
            elif isinstance(item, (list, tuple)):
                inner += [each for each in item if type(each) is not str]
        if not inner:
            break
        level = inner
    return found


def _take_member(
    name: Any,
    value: Any,
    is_secret: Callable[[str], bool],
    found: set[str],
    inner: list[Any],
) -> None:
    if type(value) is str:
        if isinstance(name, str) and is_secret(name):
            found.update(_forms(value))
        return
    if isinstance(value, (dict, list, tuple, Mapping)):
        inner.append(value)
        if isinstance(name, str) and is_header_map(name):
            for text in header_values(value):
                found.update(_forms(text))


def _forms(value: str) -> Iterator[str]:
    """A value and, of `Bearer TOKEN`, the token alone; the longer one first."""
    if len(value) >= _SHORTEST_CHARS:
        yield value
    scheme, _, token = value.partition(" ")
    if scheme.lower() in ("bearer", "basic", "token") and len(token) >= _SHORTEST_CHARS:
        yield token


def hide_in_error(error: BaseException, secrets: Collection[str] = ()) -> None:
    """Take secrets out of the texts of an error and of those that led to it, in place.

    Args:
        error: the error; its arguments and text attributes are rewritten where they must be.
        secrets: what to hide beside what looks like a secret.
    """
    longest_first = sorted(secrets, key=len, reverse=True)

    def hide(text: str) -> str:
        return hide_shapes(hide_values(text, longest_first))

    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        found = waiting.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        _rewrite(found, hide)
        waiting += (found.__cause__, found.__context__)
        if isinstance(found, BaseExceptionGroup):
            waiting += found.exceptions


def _rewrite(error: BaseException, hide: Callable[[str], str]) -> None:
    args = tuple(_rewritten(value, hide, 8) for value in error.args)
    if args != error.args:
        with suppress(Exception):
            error.args = args
    attributes = getattr(error, "__dict__", {})
    for name, value in list(attributes.items()):
        if isinstance(value, (str, dict, list, tuple)):
            new = _rewritten(value, hide, 8)
            if new != value:
                attributes[name] = new


def _rewritten(value: Any, hide: Callable[[str], str], depth: int) -> Any:
    if isinstance(value, str):
        return hide(value)
    if depth and type(value) is dict:
        return {key: _rewritten(inner, hide, depth - 1) for key, inner in value.items()}
    if depth and type(value) in (list, tuple):
        return type(value)(_rewritten(inner, hide, depth - 1) for inner in value)
    return value
