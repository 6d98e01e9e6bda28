"""Function-call arguments that Vertex AI streams value by value, put together again.

With `streamFunctionCallArguments` a call arrives as a list of JSON paths with values; strings
come in pieces. Source: cloud.google.com/vertex-ai docs, `FunctionCall.partialArgs`.
"""

import re
from itertools import pairwise
from typing import Any

import msgspec

from tokenline.errors import LimitExceededError, MalformedStreamError
from tokenline.options import Limits


class PartialArg(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One value, or one more piece of a string. `json_path` follows RFC 9535: `$.a[0].b`."""

    json_path: str
    string_value: str | None = None
    number_value: float | int | None = None
    bool_value: bool | None = None


class _Text:
    """A string in the making."""

    __slots__ = ("pieces",)

    def __init__(self) -> None:
        self.pieces: list[str] = []


_decode = msgspec.json.Decoder(tuple[PartialArg, ...] | None).decode
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d{1,9})\]|\[(['\"])((?:[^\\]|\\.)*?)\3\]")


def _join(value: object) -> str:
    assert isinstance(value, _Text)
    return "".join(value.pieces)


def _steps(path: str, max_depth: int) -> list[str | int]:
    steps: list[str | int] = []
    position = 1
    while position < len(path) and len(steps) <= max_depth:
        match = _STEP.match(path, position)
        if match is None:
            break
        name, index, _, quoted = match.groups()
        steps.append(int(index) if index is not None else name or quoted.replace("\\", ""))
        position = match.end()
    if not path.startswith("$") or position < len(path) or not steps:
        raise MalformedStreamError(f"partial argument with a path of no use: {path[:80]!r}")
    return steps


class PartialArguments:
    """The arguments of one call so far."""

    __slots__ = ("_limits", "_root", "_size")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._root: dict[str, Any] = {}
        self._size = 0

    def add(self, partial_args: bytes) -> None:
        """Take in one `partialArgs` list.

        Raises:
            MalformedStreamError: no such list, or a path that leads nowhere.
            LimitExceededError: more than `max_arguments_bytes`.
        """
        self._size += len(partial_args)
        if self._size > self._limits.max_arguments_bytes:
            raise LimitExceededError(
                "arguments of one tool call are too large; raise Limits.max_arguments_bytes",
                limit="max_arguments_bytes",
            )
        try:
            arguments = _decode(partial_args) or ()
        except (ValueError, RecursionError) as error:
            raise MalformedStreamError(f"partial arguments cannot be read: {error}") from error
        for argument in arguments:
            self._set(argument)

    def _set(self, argument: PartialArg) -> None:
        steps = _steps(argument.json_path, self._limits.max_json_depth)
        try:
            node: Any = self._root
            for step, following in pairwise(steps):
                node = _child(node, step, list if isinstance(following, int) else dict)
            if argument.string_value is not None:
                _child(node, steps[-1], _Text).pieces.append(argument.string_value)
            else:
                _put(node, steps[-1], _scalar(argument))
        except (TypeError, IndexError, AttributeError) as error:
            raise MalformedStreamError(
                f"partial argument does not fit the ones before: {argument.json_path[:80]!r}"
            ) from error

    def text(self) -> str:
        """The arguments as JSON text."""
        return msgspec.json.encode(self._root, enc_hook=_join).decode()


def _scalar(argument: PartialArg) -> float | int | bool | None:
    return argument.number_value if argument.bool_value is None else argument.bool_value


def _put(node: Any, step: Any, value: object) -> None:
    if isinstance(node, list) and step == len(node):
        node.append(value)
    elif isinstance(node, dict) is isinstance(step, int):
        raise TypeError("an index into an object, or a name into an array")
    else:
        node[step] = value


def _child(node: Any, step: str | int, kind: type) -> Any:
    absent = step not in node if isinstance(node, dict) else step == len(node)
    if absent:
        _put(node, step, kind())
    child = node[step]
    if not isinstance(child, kind):
        raise TypeError("another kind of value is there already")
    return child
