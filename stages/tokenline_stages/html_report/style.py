"""How the page looks: one palette, one layout."""

from __future__ import annotations

from typing import Any

FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
PALETTE = ("#2563eb", "#ea580c", "#059669", "#9333ea", "#dc2626", "#0891b2", "#ca8a04", "#4b5563")
WAITING = "#d1d5db"
WORK = "#2563eb"
QUEUED = "#ca8a04"
BLOCKED = "#dc2626"
PHASES = ("#9ca3af", "#93c5fd", "#60a5fa", "#f59e0b", "#059669", "#a78bfa")

CSS = f"""
:root {{ color-scheme: light; }}
body {{ font: 15px/1.5 {FONT}; color: #1f2937; background: #f8fafc; margin: 0; }}
main {{ max-width: 1120px; margin: 0 auto; padding: 24px 20px 64px; }}
h1 {{ font-size: 26px; margin: 0 0 4px; }}
h2 {{ font-size: 19px; margin: 36px 0 4px; }}
p {{ margin: 2px 0 8px; color: #6b7280; }}
.cards {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; }}
.card {{ background: #fff; border: 1px solid #e5e7eb; border-radius: 8px; padding: 10px 14px; }}
.card b {{ display: block; font-size: 22px; }}
.card span {{ color: #6b7280; font-size: 13px; }}
.box {{ background: #fff; border: 1px solid #e5e7eb; border-radius: 8px; padding: 8px;
  margin: 10px 0; overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; font-size: 12px;
  font-variant-numeric: tabular-nums; }}
th, td {{ text-align: right; padding: 4px 7px; border-bottom: 1px solid #f1f5f9;
  white-space: nowrap; }}
th {{ color: #6b7280; }}
td.text, th.text {{ text-align: left; }}
summary {{ cursor: pointer; padding: 6px 2px; }}
code {{ font-size: 12px; }}
"""


def layout(x: str, y: str, height: int = 360, **more: Any) -> dict[str, Any]:
    """The layout of a chart."""
    return {
        "template": "plotly_white",
        "xaxis": {"title": {"text": x}, "zeroline": False},
        "yaxis": {"title": {"text": y}, "zeroline": False, "automargin": True},
        "height": height,
        "margin": {"l": 60, "r": 20, "t": 40, "b": 48},
        "font": {"family": FONT, "size": 12, "color": "#374151"},
        "colorway": list(PALETTE),
        "legend": {
            "orientation": "h",
            "y": 1.0,
            "x": 0,
            "xanchor": "left",
            "yanchor": "bottom",
            "traceorder": "normal",
        },
        "hoverlabel": {"namelength": -1},
        **more,
    }
