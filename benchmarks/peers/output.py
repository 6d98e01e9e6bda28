"""Where figures are put: a folder's tables and charts, and the documentation."""

from __future__ import annotations

from pathlib import Path

from benchmarks.environments import ROOT

from .charts import write_page, write_picture
from .results import Results
from .tables import (
    clients_table,
    linear_table,
    loads_table,
    spread_table,
    targets_table,
    tries_table,
)

DOCUMENT = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "performance-scaling.svg"
_SHORT = (
    "floor",
    "tokenline",
    "openai SDK",
    "anthropic SDK",
    "litellm",
    "langchain",
    "pydantic-ai",
)
_OWN_PACKAGES = (
    "openai",
    "anthropic",
    "litellm",
    "langchain-openai",
    "pydantic-ai-slim",
    "aiohttp",
    "httpx2",
    "httpx",
    "msgspec",
    "pydantic",
    "opentelemetry-sdk",
    "uvloop",
)


def write_all(results: Results, folder: Path) -> None:
    """`results.md`, `scaling.svg` and `scaling.html` beside `results.json`."""
    (folder / "results.md").write_text(report(results), encoding="utf-8")
    if results.figures("scaling"):
        write_picture(results, folder / "scaling.svg")
        write_page(results, folder / "scaling.html")


def write_docs(results: Results, again: Results | None = None) -> None:
    """Put the tables between the documentation's marks, and the picture beside it.

    Args:
        results: the run whose tables are all shown.
        again: another run of the same, of which targets and clients are.
    """
    replace_between(DOCUMENT, report(results))
    if again is not None:
        replace_between(DOCUMENT, short_report(again), "again")
    short = f"{clients_table(results, _SHORT)}\n\n{measured_on(results)}"
    replace_between(ROOT / "README.md", short)
    if results.figures("scaling"):
        write_picture(results, PICTURE)


def replace_between(path: Path, text: str, name: str = "measured") -> None:
    """Put a text between a file's marks of that name; `ValueError` where they are missing."""
    first, last = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    before, begin, rest = path.read_text(encoding="utf-8").partition(first)
    _, end, after = rest.partition(last)
    if not (begin and end):
        raise ValueError(f"{path} has no {first} ... {last}")
    path.write_text(f"{before}{first}\n{text}\n{last}{after}", encoding="utf-8")


def report(results: Results) -> str:
    """All tables that there are figures for."""
    sections = [
        ("Targets", targets_table(results)),
        ("Clients", clients_table(results)),
        ("Spread over rounds: least to greatest (rounds)", spread_table(results)),
        ("Long streams and large arguments", linear_table(results)),
        ("Streams a core: every load that was tried", tries_table(results)),
        ("Streams on one core", loads_table(results, "scaling")),
        ("Two processes on two cores", loads_table(results, "scaling_two")),
        ("Measured on", machine(results)),
    ]
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in sections if text)


def short_report(results: Results) -> str:
    """Targets and clients, and when they were measured."""
    tables = (targets_table(results), clients_table(results), measured_on(results))
    return "\n\n".join(text for text in tables if text)


def measured_on(results: Results) -> str:
    """When and on what, in a sentence."""
    data = results.data
    days = sorted({row["at"].partition(" ")[0] for row in data["rows"].values()})
    when = " to ".join(dict.fromkeys((days[0], days[-1]))) if days else data["machine"]["date"]
    told = data["machine"]
    loads = [row["load"] for row in data["rows"].values()]
    busy = f", load average {min(loads):.1f} to {max(loads):.1f}" if loads else ""
    return (
        f"Measured {when} on {told['processor']}, {told['cores']} cores, Python {told['python']},"
        f" commit {told['commit']}{busy}."
    )


def machine(results: Results) -> str:
    """Machine, versions and when each row was measured."""
    data = results.data
    lines = [f"- {name}: {value}" for name, value in data["machine"].items()]
    for name, versions in data["versions"].items():
        own = [f"{each} {versions[each]}" for each in _OWN_PACKAGES if each in versions]
        lines.append(f"- environment `{name}`: {', '.join(own)}")
    for name, row in data["rows"].items():
        failed = "; ".join(f"{who} failed ({why})" for who, why in row["failures"].items())
        note = f", {failed}" if failed else ""
        lines.append(
            f"- row `{name}`: {row['at']}, commit {row['commit']}, load {row['load']:.1f}{note}"
        )
    if data.get("quick"):
        lines.append("- a quick run: sizes too small for conclusions")
    return "\n".join(lines)
