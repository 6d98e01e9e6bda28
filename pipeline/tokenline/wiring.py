"""Whether the pieces of a pipeline are what they should be and fit together."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar, Union, get_args, get_origin

from .errors import WiringError
from .events import Event
from .options import Capacity
from .pipeline import Branch, ChainStage, Pipeline
from .record import StageKind
from .result import Result
from .source import Source
from .stage import Stage, StageSpec

P = TypeVar("P")

_STAGE = ("name", "inlet", "outlet", "open")
_SOURCE = (
    *("name", "provider", "api", "operation", "server_address", "server_port", "outlet"),
    *("prepare", "open", "aclose"),
)
_METHODS = ("feed", "finish")
_RESULT_METHODS = (*_METHODS, "snapshot")
_MANY_TYPES = 3
_MOST_CHARS = 60


# --- the pieces ----------------------------------------------------------------------------


def need_stage(stage: Any) -> Stage[Any, Any]:
    """`stage`, if it is one.

    Raises:
        WiringError: it is something else.
    """
    _need_parts(stage, "stage", _STAGE)
    opener = stage.opener if isinstance(stage, StageSpec) else stage.open
    if not callable(opener):
        raise WiringError(
            f"stage {stage.name!r} cannot be opened: {_shown(opener)} is no function of a"
            " StepContext",
            stage=_name_of(stage),
        )
    return stage  # type: ignore[no-any-return]  # its parts were checked


def need_source(source: Any) -> Source:
    """`source`, if it is one; raises like `need_stage`."""
    _need_parts(source, "source", _SOURCE)
    return source  # type: ignore[no-any-return]  # its parts were checked


def need_branch(branch: Any) -> Branch:
    """`branch`, or one around a stage; raises like `need_stage`."""
    if isinstance(branch, Branch):
        if branch.stage is not None:
            need_stage(branch.stage)
        need_capacity(branch.capacity, branch.name)
        return branch
    if isinstance(branch, type) or not all(hasattr(branch, part) for part in _STAGE):
        hint = "; call it" if callable(branch) else ""
        raise WiringError(
            f"{_shown(branch)} is neither a branch nor a stage{hint}", stage="fan-out"
        )
    stage = need_stage(branch)
    kind = StageKind.ACCUMULATOR if stage.outlet is Result else StageKind.BRANCH
    return Branch(name=stage.name, kind=kind, stage=stage)


def put_branch(old: Branch, new: Any) -> Branch:
    """What takes the place of a branch: another one, or the old one with another stage."""
    if isinstance(new, Branch):
        return need_branch(new)
    stage = need_stage(new)
    return replace(old, stage=stage, name=old.name if old.readable else stage.name)


def need_capacity(capacity: Any, name: str) -> Capacity:
    """`capacity`, if it is one; raises like `need_stage`."""
    return need_kind(capacity, Capacity, f"capacity of {name!r}", "max_items=...", stage=name)


def need_kind(
    value: Any, kind: type[P], what: str, example: str = "...", stage: str | None = None
) -> P:
    """`value`, if it is of that kind; raises like `need_stage`."""
    if not isinstance(value, kind):
        raise WiringError(
            f"{what}: {_shown(value)} is none; give {kind.__name__}({example})", stage=stage
        )
    return value


def need_method(value: Any, method: str, what: str) -> Any:
    """`value`, if it has such a method; raises like `need_stage`."""
    if isinstance(value, type) or not callable(getattr(value, method, None)):
        raise WiringError(f"{_shown(value)} is no {what}: it needs {method}(...)", stage=what)
    return value


def check_step(stage: Stage[Any, Any], step: Any) -> Any:
    """`step`, if a stage's `open` gave one; an accumulator's must have a `snapshot`, too.

    Raises:
        WiringError: it lacks a method; `stage` names its stage.
    """
    methods = _RESULT_METHODS if stage.outlet is Result else _METHODS
    lacking = [name for name in methods if not callable(getattr(step, name, None))]
    if lacking:
        raise WiringError(
            f"stage {stage.name!r} opened {_shown(step)}, which lacks {' and '.join(lacking)}",
            stage=stage.name,
        )
    return step


def _need_parts(value: Any, what: str, parts: Sequence[str]) -> None:
    lacking = [part for part in parts if not hasattr(value, part)]
    if isinstance(value, type) or (lacking and callable(value)):
        raise WiringError(f"{_shown(value)} is no {what}; call it if it makes one", stage=what)
    if lacking:
        raise WiringError(
            f"{_shown(value)} is no {what}: it needs {', '.join(parts)} and lacks"
            f" {', '.join(lacking) if len(lacking) < len(parts) else 'them all'}",
            stage=_name_of(value) or what,
        )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_CHARS else f"{text[:_MOST_CHARS]}..."


def _name_of(value: Any) -> str | None:
    name = getattr(value, "name", None)
    return name if isinstance(name, str) else None


# --- the whole -----------------------------------------------------------------------------


def check_wiring(pipeline: Pipeline) -> Pipeline:
    """`pipeline`, if its pieces fit together.

    Raises:
        WiringError: something does not fit; `stage` names where.
    """
    _check_names(pipeline)
    _check_capacities(pipeline)
    for route in pipeline.routes:
        _check_edges(route.source, route.chain, pipeline.branches)
    _check_branches(pipeline.branches)
    return pipeline


def _check_names(pipeline: Pipeline) -> None:
    names = [pipeline.source.name, *(p.stage.name for p in pipeline.chain), "fan-out"]
    names += [branch.name for branch in pipeline.branches]
    names += [b.stage.name for b in pipeline.branches if b.stage is not None and b.readable]
    for name in names:
        if not isinstance(name, str):
            raise WiringError(f"the name of a stage is a text, not {_shown(name)}")
        if not name:
            raise WiringError("a stage has an empty name", stage=name)
        if names.count(name) > 1:
            raise WiringError(f"two stages are called {name!r}; names must be unique", stage=name)


def _bounds(pipeline: Pipeline) -> Iterator[tuple[str, Capacity]]:
    for place in pipeline.chain:
        yield place.stage.name, place.capacity
    yield "fan-out", pipeline.fan_out
    for branch in pipeline.branches:
        yield branch.name, branch.capacity


def _check_capacities(pipeline: Pipeline) -> None:
    for name, capacity in _bounds(pipeline):
        if capacity.max_items < 1 or capacity.max_bytes < 1:
            raise WiringError(
                f"stage {name!r} has a capacity below 1 ({capacity.max_items} items,"
                f" {capacity.max_bytes} bytes); a queue holds at least one",
                stage=name,
            )


def _check_edges(source: Source, chain: Sequence[ChainStage], branches: Sequence[Branch]) -> None:
    above, given = source.name, source.outlet
    for place in chain:
        _check_edge(above, given, place.stage.name, place.stage.inlet)
        above, given = place.stage.name, place.stage.outlet
    _check_edge(above, given, "fan-out", Event)
    for branch in branches:
        if branch.stage is not None:
            _check_edge("fan-out", Event, branch.name, branch.stage.inlet)


def _check_branches(branches: Sequence[Branch]) -> None:
    if not branches:
        raise WiringError(
            "the pipeline has no fan-out branch, so nothing would read it;"
            " call .fan_out(consumer(), accumulator())",
            stage="fan-out",
        )
    for branch in branches:
        _check_branch(branch)
    for kind in (StageKind.CONSUMER, StageKind.ACCUMULATOR):
        same = [branch.name for branch in branches if branch.kind is kind]
        if len(same) > 1:
            raise WiringError(
                f"more than one {kind}: {', '.join(same)}; make the others plain branches",
                stage=same[1],
            )


def _check_branch(branch: Branch) -> None:
    if branch.stage is None and not branch.readable:
        need = "required but" if branch.required else "there but"
        raise WiringError(
            f"branch {branch.name!r} is {need} nothing reads it; give it a stage or readable=True",
            stage=branch.name,
        )
    outlet = branch.stage.outlet if branch.stage is not None else None
    if branch.kind is StageKind.ACCUMULATOR and outlet is not Result:
        raise WiringError(
            f"branch {branch.name!r} is the accumulator, but its stage does not give a Result",
            stage=branch.name,
        )


# --- types of edges ------------------------------------------------------------------------


def _check_edge(above: str, given: Any, below: str, taken: Any) -> None:
    if Any in (given, taken) or taken is object:
        return
    members = _members(taken)
    unfit = [kind for kind in _members(given) if not _takes(members, kind)]
    if unfit:
        raise WiringError(
            f"stage {below!r} cannot follow {above!r}: {above!r} gives {_in_words(unfit)},"
            f" {below!r} takes {_name(taken)}",
            stage=below,
        )


def _members(kind: Any) -> list[Any]:
    if get_origin(kind) in (Union, types.UnionType):
        return list(get_args(kind))
    return [kind]


def _takes(members: Sequence[Any], kind: Any) -> bool:
    return any(
        kind == member
        or (isinstance(kind, type) and isinstance(member, type) and issubclass(kind, member))
        for member in members
    )


def _in_words(kinds: Sequence[Any]) -> str:
    names = sorted(_name(kind) for kind in kinds)
    shown = names[:_MANY_TYPES]
    more = f" and {len(names) - len(shown)} more types" if len(names) > len(shown) else ""
    return f"{', '.join(shown)}{more}"


def _name(kind: Any) -> str:
    members = _members(kind)
    if len(members) > _MANY_TYPES:
        return "events" if members == _members(Event) else f"one of {len(members)} types"
    return " | ".join(sorted(_type_name(member) for member in members))


def _type_name(kind: Any) -> str:
    # A name in quotes, or a list of types, is no type that can be compared.
    return kind.__name__ if isinstance(kind, type) else _shown(kind)
