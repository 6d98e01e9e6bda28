"""Takes the cause of an error through pickling, which leaves `__cause__` out.

Each cause is pickled by itself: one that cannot be, or whose class the other process does not
have, is replaced there by a `RemoteCause`, and the error around it arrives all the same.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

_under_way: ContextVar[frozenset[int]] = ContextVar("_under_way", default=frozenset())
"""Ids of the errors whose causes are being packed: one may be among its own causes."""


class PackedError(NamedTuple):
    """An error in a form that can always be pickled."""

    pickled: bytes | None
    type_name: str
    text: str
    notes: tuple[str, ...]
    members: tuple[PackedError, ...]
    cause: PackedError | None


def pack_cause(error: BaseException) -> PackedError | None:
    """The cause of `error`, and that one's, and so on; None if there is none."""
    if error.__cause__ is None or id(error) in _under_way.get():
        return None
    with _marked(error):
        return _pack(error.__cause__)


def unpack(packed: PackedError) -> BaseException:
    """The error again, or its stand-in."""
    error = _group(packed) or _unpickled(packed) or _stand_in(packed)
    if packed.cause is not None:
        error.__cause__ = unpack(packed.cause)
    return error


def _pack(error: BaseException) -> PackedError:
    members: tuple[PackedError, ...] = ()
    if isinstance(error, BaseExceptionGroup) and type(error).__module__ == "builtins":
        members = tuple(_pack(member) for member in error.exceptions)
    pickled = None if members else _pickled(error)
    return PackedError(
        pickled=pickled,
        type_name=f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins."),
        text=error.message if isinstance(error, BaseExceptionGroup) else _text(error),
        notes=tuple(map(str, getattr(error, "__notes__", ()))),
        members=members,
        cause=pack_cause(error),
    )


def _pickled(error: BaseException) -> bytes | None:
    with _marked(error):  # its cause is packed beside it
        try:
            return pickle.dumps(error)
        except Exception:
            return None


@contextmanager
def _marked(error: BaseException) -> Iterator[None]:
    token = _under_way.set(_under_way.get() | {id(error)})
    try:
        yield
    finally:
        _under_way.reset(token)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return ""


def _group(packed: PackedError) -> BaseException | None:
    if not packed.members:
        return None
    group = BaseExceptionGroup(packed.text, [unpack(member) for member in packed.members])
    return _noted(group, packed)


def _unpickled(packed: PackedError) -> BaseException | None:
    if packed.pickled is None:
        return None
    try:
        error = pickle.loads(packed.pickled)
    except Exception:
        return None
    return error if isinstance(error, BaseException) else None


def _stand_in(packed: PackedError) -> BaseException:
    from .errors import RemoteCause

    return _noted(RemoteCause(packed.type_name, packed.text), packed)


def _noted(error: BaseException, packed: PackedError) -> BaseException:
    for note in packed.notes:
        error.add_note(note)
    return error
