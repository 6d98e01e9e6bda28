"""Prometheus alert rules for time to first token, stalls, failures and lost telemetry."""

import json
from dataclasses import dataclass

from . import series as s
from .streams import STALL_S

_WINDOW = "5m"
_MODEL = "{{ $labels.gen_ai_provider_name }} {{ $labels.gen_ai_request_model }}"


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule."""

    name: str
    expr: str
    for_: str
    severity: str
    summary: str
    description: str

    def as_yaml(self) -> str:
        """One rule of a rule file; a JSON text is a YAML text."""
        return f"""\
      - alert: {self.name}
        expr: {json.dumps(self.expr)}
        for: {self.for_}
        labels:
          severity: {self.severity}
        annotations:
          summary: {json.dumps(self.summary)}
          description: {json.dumps(self.description)}
"""


def _enough(expr: str, count: str) -> str:
    """Only where more than one request in ten seconds ended: a quantile of three is noise."""
    return f"{expr} and {s.total(count, by=s.BY_MODEL, window=_WINDOW)} > 0.1"


_FIRST_TOKEN = s.quantile(0.95, s.FIRST_TOKEN, by=s.BY_MODEL, window=_WINDOW)
_STALLED = s.share_above(STALL_S, s.GAP_MAX, by=s.BY_MODEL, window=_WINDOW)
_FAILED = s.total(
    s.COMPLETED, f'{s.OUTCOME}=~"error|timeout|abandoned"', by=s.BY_MODEL, window=_WINDOW
)
_ENDED = s.total(s.COMPLETED, by=s.BY_MODEL, window=_WINDOW)

ALERTS = (
    Alert(
        "TokenlineFirstTokenSlow",
        _enough(f"{_FIRST_TOKEN} > 5", s.FIRST_TOKEN + "_count"),
        "5m",
        "warning",
        f"First tokens of {_MODEL} are slow",
        "The 95th percentile of the time to first token is {{ $value | humanizeDuration }}."
        " Compare time to headers (queueing at the provider), the event loop (our own load)"
        " and traces of single requests.",
    ),
    Alert(
        "TokenlineFirstTokenWorse",
        _enough(
            f"{_FIRST_TOKEN} > 3 * {s.quantile(0.95, s.FIRST_TOKEN, by=s.BY_MODEL, window='1d')}",
            s.FIRST_TOKEN + "_count",
        ),
        "10m",
        "warning",
        f"First tokens of {_MODEL} are three times as slow as yesterday",
        "The 95th percentile of the time to first token is {{ $value | humanizeDuration }}.",
    ),
    Alert(
        "TokenlineStreamsStall",
        _enough(f"{_STALLED} > 0.05", s.GAP_MAX + "_count"),
        "5m",
        "warning",
        f"Streams of {_MODEL} stall",
        f"{{{{ $value | humanizePercentage }}}} of the streams had a gap of more than {STALL_S} s.",
    ),
    Alert(
        "TokenlineStreamsFail",
        f"{_FAILED} / {_ENDED} > 0.1 and {_ENDED} > 0.1",
        "5m",
        "critical",
        f"Streams of {_MODEL} fail",
        "{{ $value | humanizePercentage }} of the requests ended in an error, a timeout or"
        " were never closed.",
    ),
    Alert(
        "TokenlineEventLoopBlocked",
        f"{s.quantile(0.95, s.LOOP_BLOCKED, window=_WINDOW)} > 0.25",
        "5m",
        "warning",
        "The event loop is blocked while streams wait",
        "Requests see their loop blocked for {{ $value | humanizeDuration }} (95th percentile):"
        " their times to first token are partly our own.",
    ),
    Alert(
        "TokenlineTelemetryDropped",
        f"{s.total(s.TELEMETRY_DROPPED, by=s.SIGNAL, window=_WINDOW)} > 0",
        "5m",
        "warning",
        "Telemetry of runs is dropped",
        "{{ $labels.tokenline_signal }}: {{ $value | humanize }} runs a second found no room in"
        " the emitter's queue (TelemetryOptions.queue_capacity).",
    ),
)


def build() -> str:
    """The rule file."""
    head = "# Made by dashboards/build.py.\ngroups:\n  - name: tokenline\n    rules:\n"
    return head + "".join(alert.as_yaml() for alert in ALERTS)
