"""Panels in one style, from grafana-foundation-sdk."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    table,
    tempo,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmap_models
from grafana_foundation_sdk.models import prometheus as prometheus_models

METRICS = models.DataSourceRef(type_val="prometheus", uid="${metrics}")
TRACES = models.DataSourceRef(type_val="tempo", uid="${traces}")

Panel = Builder[models.Panel]
Variable = Builder[models.VariableModel]


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel; `legend` in Grafana's form."""

    expr: str
    legend: str
    exemplars: bool = False


def graph(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    unit: str = "s",
    width: int = 12,
    stacked: bool = False,
) -> Panel:
    """Lines over time."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(METRICS)
        .unit(unit)
        .min(0)
        .span(width)
        .height(8)
        .line_width(1)
        .fill_opacity(30 if stacked else 8)
        .show_points(common_models.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.TABLE)
            .placement(common_models.LegendPlacement.BOTTOM)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
    for query in queries:
        panel = panel.with_target(_target(query))
    return panel


def heat(title: str, description: str, expr: str, *, width: int = 12) -> Panel:
    """A histogram over time; `expr` gives buckets by `le`."""
    target = (
        prometheus.Dataquery()
        .expr(expr)
        .format(prometheus_models.PromQueryFormat.HEATMAP)
        .legend_format("{{le}}")
        .range()
    )
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(METRICS)
        .span(width)
        .height(8)
        .calculate(False)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmap_models.HeatmapColorMode.SCHEME)
            .scheme("Turbo")
            .steps(64)
        )
        .y_axis(heatmap.YAxisConfig().unit("s"))
        .cell_gap(1)
        .with_target(target)
    )


def figure(title: str, query: Query, *, unit: str, width: int = 4) -> Panel:
    """One number."""
    return (
        stat.Panel()
        .title(title)
        .datasource(METRICS)
        .unit(unit)
        .span(width)
        .height(4)
        .with_target(_target(query))
    )


def trace_table(title: str, description: str, query: str, *, width: int = 24) -> Panel:
    """Traces found by TraceQL; each row opens its trace."""
    target = tempo.TempoQuery().query_type("traceql").query(query).limit(50).filters([])
    return (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(TRACES)
        .span(width)
        .height(10)
        .with_target(target)
    )


def row(title: str) -> Builder[models.RowPanel]:
    """A heading."""
    return dashboard.Row(title)


def data_sources() -> list[Variable]:
    """Choices of the data sources, so that a dashboard fits any Grafana."""
    return [
        dashboard.DatasourceVariable("metrics").label("Metrics").type("prometheus"),
        dashboard.DatasourceVariable("traces").label("Traces").type("tempo"),
    ]


def choices(count: str) -> list[Variable]:
    """Data sources, provider and model; `count` is a series that has both labels."""
    provider, model = "gen_ai_provider_name", "gen_ai_request_model"
    chosen = f'{count}{{{provider}=~"$provider"}}'
    return [
        *data_sources(),
        label_values("provider", "Provider", f"label_values({count}, {provider})"),
        label_values("model", "Model", f"label_values({chosen}, {model})"),
    ]


def label_values(name: str, label: str, query: str) -> Variable:
    """A choice of some or all values of a label."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(METRICS)
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )


def _target(query: Query) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).range()
    return target.exemplar(True) if query.exemplars else target
