"""The version that spans and metrics carry as that of their instrumentation scope."""

from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as _installed


@cache
def version() -> str | None:
    """Version of the installed package; None if it runs uninstalled."""
    try:
        return _installed("tokenline")
    except PackageNotFoundError:
        return None
