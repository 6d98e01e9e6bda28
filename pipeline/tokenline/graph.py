"""Prints a pipeline: as text with its effective limits, and as a Mermaid flowchart."""

from __future__ import annotations

from .options import MIB, Capacity
from .pipeline import Branch, Pipeline
from .record import StageKind


def _bounds(capacity: Capacity) -> str:
    size = capacity.max_bytes
    text = f"{size // MIB} MiB" if size % MIB == 0 else f"{size:,} B"
    if capacity.max_wait_s is not None:
        text += f", {capacity.max_wait_s:g} s"
    return f"<= {capacity.max_items} items, {text}, {capacity.overflow.value}"


def _role(branch: Branch) -> str:
    reads = "read by the caller" if branch.readable else "runs by itself"
    return f"{reads}, {'required' if branch.required else 'optional'}"


def as_text(pipeline: Pipeline) -> str:
    """The graph, top to bottom, each edge with the bounds of the queue on it."""
    lines = [f"{pipeline.name} ({pipeline.source.provider}, {pipeline.source.api})", ""]
    lines.append(f"{pipeline.source.name}  [{StageKind.SOURCE}]")
    for place in pipeline.chain:
        lines += [f"  |  {_bounds(place.capacity)}", f"{place.stage.name}  [{place.kind}]"]
    lines += [f"  |  {_bounds(pipeline.fan_out)}", f"fan-out  [{StageKind.FAN_OUT}]"]
    for branch in pipeline.branches:
        lines.append(f"  +--  {_bounds(branch.capacity)}  -->  {branch.label}  [{branch.kind}]")
        lines.append(f"  |       {_role(branch)}")
    lines += ["  |", f"trace emitter  ({type(pipeline.telemetry).__name__})", "", "limits"]
    options = pipeline.options
    lines += [f"  {name} = {value:,}" for name, value in options.limits.model_dump().items()]
    lines += [
        f"  execution = {options.execution.value}",
        f"  strict = {options.strict}",
        f"  end_grace_s = {options.end_grace_s}",
        f"  branch_grace_s = {options.branch_grace_s}",
    ]
    return "\n".join(lines)


def as_mermaid(pipeline: Pipeline) -> str:
    """The graph as a Mermaid flowchart, left to right."""
    names = [pipeline.source.name, *(p.stage.name for p in pipeline.chain), "fan-out"]
    bounds = [p.capacity for p in pipeline.chain] + [pipeline.fan_out]
    lines = ["flowchart LR"]
    lines += [f'    n{i}["{name}"]' for i, name in enumerate(names)]
    lines += [f'    n{i} -->|"{_bounds(c)}"| n{i + 1}' for i, c in enumerate(bounds)]
    last = len(names) - 1
    for i, branch in enumerate(pipeline.branches):
        lines.append(f'    b{i}["{branch.label}"]')
        lines.append(f'    n{last} -->|"{_bounds(branch.capacity)}"| b{i}')
        lines.append(f"    b{i} -.-> t")
    lines.append('    t["trace emitter"]')
    return "\n".join(lines)
