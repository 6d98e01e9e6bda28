"""The comparison as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .judging import Row
from .scenarios import Scenario


def markdown(
    found: Mapping[str, Sequence[Row]], scenarios: Sequence[Scenario], versions: Mapping[str, str]
) -> str:
    """All tables, one a scenario, and the versions."""
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    parts = [f"Versions: {named}.\n"]
    parts += [_table(scenario, found[scenario.name]) for scenario in scenarios]
    return "\n".join(parts)


def _table(scenario: Scenario, rows: Sequence[Row]) -> str:
    columns = _columns(scenario, rows)
    heads = ["client", *columns]
    lines = [f"### {scenario.title}\n", _line(heads), _line(["---"] * len(heads))]
    lines += [
        _line([row.client, *(values[n] for values in columns.values())])
        for n, row in enumerate(rows)
    ]
    return "\n".join(lines) + "\n"


def _columns(scenario: Scenario, rows: Sequence[Row]) -> dict[str, list[str]]:
    columns = {"the user sees": [row.sees for row in rows]}
    if not scenario.tools:
        columns["characters read / sent"] = [row.text for row in rows]
    columns["the library keeps"] = [row.kept for row in rows]
    columns["noticed after"] = [_ms(row.noticed_ms) for row in rows]
    columns["socket closed after"] = [row.closed for row in rows]
    columns["tasks left"] = [str(row.tasks_left) for row in rows]
    columns["requests"] = [str(row.requests) for row in rows]
    needed = ("the user sees", "tasks left")
    return {
        name: values
        for name, values in columns.items()
        if name in needed or (any(values) and (name != "requests" or set(values) != {"1"}))
    }


def _ms(value: float | None) -> str:
    if value is None:
        return ""
    return f"{max(value, 0.0):.0f} ms" if value >= 10 else f"{max(value, 0.0):.1f} ms"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
