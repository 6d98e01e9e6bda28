"""Which proxy the environment wants requests to go through."""

from __future__ import annotations

import os
import sys
from urllib.parse import urlsplit

_SYSTEM_SETTINGS = ("darwin", "win32")
_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")


def find_proxy(url: str) -> str | None:
    """URL of the proxy for `url`: of `HTTP_PROXY`, `HTTPS_PROXY` or `ALL_PROXY`, in any case.

    `NO_PROXY` is respected, and on macOS and Windows the system's settings, as in
    `urllib.request.getproxies`. Nothing else of the environment is: no `.netrc`.
    """
    if sys.platform not in _SYSTEM_SETTINGS and not _is_any_set():
        return None
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def proxy_applies(url: str) -> bool:
    """Whether the environment sets a proxy for `url`; see `find_proxy`."""
    return find_proxy(url) is not None


def _is_any_set() -> bool:
    return any(value and name.lower() in _VARIABLES for name, value in os.environ.items())
