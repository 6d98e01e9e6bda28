"""Where a request goes: a URL taken apart once, in the forms that socket and request need."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from tokenline.errors import ConfigError

_SHOWN_CHARS = 100
_URL_MARKS = "/%:@!$&'()*+,;=~?-._"


@dataclass(frozen=True, slots=True)
class Address:
    """A URL's parts.

    Attributes:
        secure: whether it is `https`.
        host: name or IP address, without brackets.
        port: its port, the scheme's own if the URL has none.
        target: path and query, as the request line needs them.
        authority: value of the `host` header.
    """

    secure: bool
    host: str
    port: int
    target: str
    authority: str

    @property
    def is_numeric(self) -> bool:
        """Whether the host is an IP address."""
        try:
            ip_address(self.host.partition("%")[0])
        except ValueError:
            return False
        return True


@lru_cache(maxsize=256)
def parse_url(url: str) -> Address:
    """The parts of an absolute `http` or `https` URL; a fragment is dropped.

    Raises:
        ConfigError: not such a URL, or one with a user name in it.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{_shown(url)} is no address ({error}); correct it") from error
    if "://" not in url:
        raise ConfigError(
            f"{_shown(url)} is no address: its scheme is missing; add http:// or https:// before it"
        )
    if parts.scheme not in ("http", "https"):
        raise ConfigError(f"{_shown(url)} is no address for requests; use http:// or https://")
    if not host:
        raise ConfigError(f"{_shown(url)} is no address: its host is missing; add it")
    if parts.username is not None:
        raise ConfigError(f"the URL of {host} has a user name in it; send a header instead")
    secure = parts.scheme == "https"
    usual = 443 if secure else 80
    host = _ascii_name(host)
    shown = f"[{host}]" if ":" in host else host
    return Address(
        secure=secure,
        host=host,
        port=port or usual,
        target=_target(parts.path, parts.query),
        authority=shown if port in (None, usual) else f"{shown}:{port}",
    )


def check_address(url: object, origin: str) -> str:
    """An address as it is, without white space around it.

    Args:
        url: the address.
        origin: where it was given, for messages: an argument or an environment variable.

    Raises:
        ConfigError: requests cannot go there.
    """
    if not isinstance(url, str):
        raise ConfigError(f"{origin}: an address is a text like https://..., not {url!r}")
    try:
        parse_url(url.strip())
    except ConfigError as error:
        raise ConfigError(f"{origin}: {error}") from error
    return url.strip()


def _shown(url: str) -> str:
    """A URL for a message: no password, no end."""
    start, _, rest = url.rpartition("@")
    shown = f"...@{rest}" if start else rest
    return repr(shown if len(shown) <= _SHOWN_CHARS else f"{shown[:_SHOWN_CHARS]}...")


def _ascii_name(host: str) -> str:
    if host.isascii():
        if not host.isprintable() or " " in host:
            raise ConfigError(f"not a host name: {host!r}; check the URL")
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ConfigError(f"not a host name: {host!r}; check the URL") from error


def _target(path: str, query: str) -> str:
    target = f"{path or '/'}?{query}" if query else path or "/"
    if target.isascii() and target.isprintable() and " " not in target:
        return target
    return quote(target, safe=_URL_MARKS)
