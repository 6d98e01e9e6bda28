"""The TLS context of all clients of this process."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache


def default_context() -> ssl.SSLContext:
    """A context that verifies servers against the system's roots, or `SSL_CERT_FILE`'s.

    Made once for each value of `SSL_CERT_FILE` and `SSL_CERT_DIR`: reading the roots takes
    tens of milliseconds.
    """
    return _make(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=4)
def _make(roots_file: str | None, roots_dir: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    known = ssl.get_default_verify_paths()
    if not (known.cafile or known.capath or context.cert_store_stats()["x509_ca"]):
        _load_certifi(context)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load_certifi(context: ssl.SSLContext) -> None:
    """Roots for systems that have none of their own."""
    try:
        import certifi
    except ImportError:
        return
    context.load_verify_locations(certifi.where())
