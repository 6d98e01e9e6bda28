"""Whether the environment wants requests to go through a proxy."""

from __future__ import annotations

import os
import sys
from urllib.parse import urlsplit

_SYSTEM_SETTINGS = ("darwin", "win32")
_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")


def proxy_applies(url: str) -> bool:
    """Whether `HTTP_PROXY`, `HTTPS_PROXY` or `ALL_PROXY` (any case) covers `url`.

    `NO_PROXY` is respected, and on macOS and Windows the system's settings, as in
    `urllib.request.getproxies`.
    """
    if sys.platform not in _SYSTEM_SETTINGS and not _is_any_set():
        return False
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    proxies = getproxies()
    if not (proxies.get(parts.scheme) or proxies.get("all")):
        return False
    return not proxy_bypass(parts.netloc.rpartition("@")[2])


def _is_any_set() -> bool:
    return any(value and name.lower() in _VARIABLES for name, value in os.environ.items())
