"""How figures and page look: one palette, one layout."""

from __future__ import annotations

from typing import Any

from tokenline_stages.html_report.style import FONT, PALETTE

WAITED = "#9ca3af"
FIRST = "#f59e0b"
STREAMED = "#2563eb"
FAILED = "#dc2626"

CSS = f"""
:root {{ color-scheme: light; }}
body {{ font: 15px/1.5 {FONT}; color: #1f2937; background: #f8fafc; margin: 0; }}
main {{ max-width: 1120px; margin: 0 auto; padding: 24px 20px 64px; }}
h1 {{ font-size: 26px; margin: 0 0 4px; }}
h2 {{ font-size: 19px; margin: 40px 0 8px; }}
p.lead, .note {{ color: #6b7280; }}
.note {{ font-size: 13px; }}
.cards {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin: 20px 0; }}
.card {{ background: #fff; border: 1px solid #e5e7eb; border-radius: 8px; padding: 12px 14px; }}
.card b {{ display: block; font-size: 22px; }}
.card span {{ color: #6b7280; font-size: 13px; }}
.warnings {{ background: #fffbeb; border: 1px solid #fcd34d; border-radius: 8px;
  padding: 10px 16px; }}
.warnings ul {{ margin: 4px 0; padding-left: 20px; }}
.box {{ background: #fff; border: 1px solid #e5e7eb; border-radius: 8px; padding: 8px;
  margin: 12px 0; overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; font-size: 13px;
  font-variant-numeric: tabular-nums; }}
th, td {{ text-align: right; padding: 4px 10px; border-bottom: 1px solid #f1f5f9;
  white-space: nowrap; }}
th {{ color: #6b7280; font-weight: 600; }}
th:first-child, td:first-child, td.text, th.text {{ text-align: left; }}
td.text {{ white-space: normal; }}
details {{ margin: 12px 0; }}
summary {{ cursor: pointer; color: #374151; }}
code {{ background: #f1f5f9; padding: 1px 5px; border-radius: 4px; }}
"""


def layout(title: str, x: str, y: str, height: int = 380, **more: Any) -> dict[str, Any]:
    """The layout of a figure."""
    return {
        "template": "plotly_white",
        "title": {"text": title, "font": {"size": 15}, "x": 0.01, "y": 0.98, "yanchor": "top"},
        "xaxis": {"title": {"text": x}, "zeroline": False},
        "yaxis": {"title": {"text": y}, "zeroline": False},
        "height": height,
        "margin": {"l": 64, "r": 24, "t": 68, "b": 52},
        "font": {"family": FONT, "size": 12, "color": "#374151"},
        "colorway": list(PALETTE),
        "legend": {"orientation": "h", "y": 1.0, "x": 0, "xanchor": "left", "yanchor": "bottom"},
        "hoverlabel": {"namelength": -1},
        **more,
    }


def color(number: int) -> str:
    """The color of the n-th endpoint or level."""
    return PALETTE[number % len(PALETTE)]


def faded(hex_color: str, alpha: float) -> str:
    """The same color, see-through."""
    red, green, blue = (int(hex_color[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
