"""The names of the tools that a request declares."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any


class DeclaredNames:
    """Names of the tools that a request declares."""

    __slots__ = ("_names", "_settled")

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self._names = frozenset(_names_in(payload))
        # A name that others go on from may itself be only the beginning of one of those.
        ordered = sorted(self._names)
        begun = {name for name, after in pairwise(ordered) if after.startswith(name)}
        self._settled = self._names - begun

    def settles(self, name: str) -> bool:
        """Whether `name` is whole."""
        return name in self._settled

    def parts(self, first: str, second: str) -> bool:
        """Whether these are two tools, not two pieces of one name."""
        names = self._names
        return first in names and second in names and first + second not in names


def _names_in(payload: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for key in ("tools", "functions"):
        tools = payload.get(key)
        for tool in tools if isinstance(tools, list | tuple) else ():
            if isinstance(tool, Mapping):
                inner = tool.get("function") or tool.get("custom") or tool
                name = inner.get("name") if isinstance(inner, Mapping) else None
                if isinstance(name, str):
                    found.append(name)
    return found
