"""The tables of `docs/telemetry.md` are the module of names: nothing missing, nothing made up."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.telemetry.test_otlp_http import declared
from tokenline.telemetry import TelemetryOptions
from tokenline.telemetry import attributes as names
from tokenline.telemetry.attributes import SEMCONV

TEXT = Path(__file__).parents[3].joinpath("docs", "telemetry.md").read_text(encoding="utf-8")
QUOTED = set(re.findall(r"`([^`\n]+)`", TEXT))
_NAME = re.compile(
    r"(gen_ai|tokenline|server|error|langfuse|langsmith|openinference|opentelemetry)"
    r"(\.[a-z0-9_]+)+(\.\*)?"
)
MODULES = {"tokenline.telemetry", "tokenline.telemetry.attributes", "error.type"}
METRICS = {name: metric for semconv in SEMCONV for name, metric in declared(semconv).items()}


def rows(*head: str) -> Iterator[list[str]]:
    """The rows of every table with these headings, as texts without code quotes."""
    lines = iter(TEXT.splitlines())
    for line in lines:
        if cells(line)[: len(head)] == list(head):
            next(lines)
            for row in lines:
                if not row.startswith("|"):
                    break
                yield cells(row)


def cells(line: str) -> list[str]:
    return [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]


def constants() -> set[str]:
    """Names of attributes, events and context keys in the module of names."""
    found = {
        value
        for key, value in vars(names).items()
        if key.isupper() and isinstance(value, str) and "." in value
    }
    return {f"{name}*" if name == names.TAG_PREFIX else name for name in found}


def test_every_name_of_the_module_is_explained() -> None:
    events = {names.LANGSMITH_FIRST_TOKEN_EVENT, names.OPENINFERENCE_FIRST_TOKEN_EVENT}
    keys = {names.SUPPRESS_INSTRUMENTATION, names.SUPPRESS_LANGUAGE_MODEL}
    assert (constants() | events | keys | set(METRICS)) - QUOTED == set()


def test_no_name_is_made_up() -> None:
    explained = {name for name in QUOTED if _NAME.fullmatch(name)}
    assert explained - constants() - set(METRICS) - MODULES == set()


def test_metrics_have_their_units_and_buckets() -> None:
    bounds = {
        name: tuple(float(bound) for bound in text.split(",")) for name, text in rows("buckets")
    }
    table = {name: (kind, unit, buckets) for name, kind, unit, _, buckets in rows("metric")}
    assert set(table) == set(METRICS)
    for name, (kind, unit, buckets) in table.items():
        assert unit == METRICS[name].unit, name
        assert (kind == "histogram") == bool(METRICS[name].buckets), name
        assert bounds.get(buckets, ()) == METRICS[name].buckets, name


@pytest.mark.parametrize("option", TelemetryOptions.model_fields)
def test_every_option_is_explained(option: str) -> None:
    assert option in QUOTED
