"""The base of all typed options."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import InvalidOptionError

KIB = 1024
MIB = 1024 * KIB

_MOST_CHARS = 60


class Options(BaseModel):
    """Base of all options: immutable, unknown names refused.

    Raises:
        InvalidOptionError: names every option that is wrong, in one line.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _in_one_line(type(self), error) from None


def _in_one_line(cls: type[Options], error: ValidationError) -> InvalidOptionError:
    details = error.errors(include_url=False)
    faults = [_describe(cls, detail) for detail in details]
    names = tuple(name for detail in details for name in _names(detail))
    return InvalidOptionError(f"{cls.__name__}: {'; '.join(faults)}", options=names)


def _names(detail: Mapping[str, Any]) -> list[str]:
    name = ".".join(map(str, detail["loc"]))
    inner = _inner(detail)
    return [name] if inner is None else [f"{name}.{option}" for option in inner.options]


def _inner(detail: Mapping[str, Any]) -> InvalidOptionError | None:
    """What was wrong with options inside these."""
    inner = detail.get("ctx", {}).get("error")
    return inner if isinstance(inner, InvalidOptionError) else None


def _describe(cls: type[Options], detail: Mapping[str, Any]) -> str:
    name = ".".join(map(str, detail["loc"]))
    if detail["type"] == "extra_forbidden":
        return f"there is no option {name!r}{_nearest(cls, name)}"
    inner = _inner(detail)
    if inner is not None:
        return f"{name}: {inner}"
    fault = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    if not name:
        return fault
    shown = repr(detail["input"])
    shown = shown if len(shown) <= _MOST_CHARS else f"{shown[:_MOST_CHARS]}..."
    return f"{name} is {shown} and {fault}" if detail["type"] != "missing" else f"{name} is missing"


def _nearest(cls: type[Options], name: str) -> str:
    known = list(cls.model_fields)
    near = get_close_matches(name, known, n=1)
    return f", did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
