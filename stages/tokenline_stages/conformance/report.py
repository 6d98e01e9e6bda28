"""What checks found, as lines and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .check import CUT, UNREADABLE, Report
from .expectation import Failure

_SHOWN_CHARS = 70
_BEFORE_CHARS = 20


def failure_line(failure: Failure) -> str:
    """One line: recording, field, expected, got, and which reading; or why it is unreadable."""
    if failure.check == UNREADABLE:
        return f"{failure.recording}  {' '.join(str(failure.got).split())}"
    expected, got = _shown(failure.expected), _shown(failure.got)
    start = _first_difference(expected, got)
    return (
        f"{failure.recording}  {failure.field}: expected {_cut_out(expected, start)},"
        f" got {_cut_out(got, start)} [{failure.check}]"
    )


def summary_line(reports: Sequence[Report]) -> str:
    """`N passed, N failed`."""
    failed = sum(1 for report in reports if report.failures)
    return f"{len(reports) - failed} passed, {failed} failed"


def as_json(reports: Sequence[Report], duration_s: float) -> dict[str, Any]:
    """Everything, for programs."""
    failed = sum(1 for report in reports if report.failures)
    return {
        "passed": len(reports) - failed,
        "failed": failed,
        "duration_s": round(duration_s, 3),
        "recordings": [_recording(report) for report in reports],
    }


def _recording(report: Report) -> dict[str, Any]:
    return {
        "id": report.recording,
        "api": report.api,
        "passed": not report.failures,
        "checks": _checks(report.checks),
        "events": report.events,
        "unknown_events": report.unknown_events,
        "not_compared": report.not_compared,
        "failures": [
            {
                "check": failure.check,
                "field": failure.field,
                "expected": _plain(failure.expected),
                "got": _plain(failure.got),
            }
            for failure in report.failures
        ],
    }


def _checks(checks: Sequence[str]) -> list[str]:
    others = [check for check in checks if not check.startswith(CUT)]
    cuts = len(checks) - len(others)
    return [*others[:1], f"{cuts} random cuts", *others[1:]] if cuts else others


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    return repr(value)


def _shown(value: Any) -> str:
    return " ".join(repr(value).split())


def _first_difference(expected: str, got: str) -> int:
    for place, (one, other) in enumerate(zip(expected, got, strict=False)):
        if one != other:
            return place
    return min(len(expected), len(got))


def _cut_out(text: str, place: int) -> str:
    """The neighbourhood of `place` in a text that is too long for a line."""
    if len(text) <= _SHOWN_CHARS:
        return text
    start = max(0, min(place - _BEFORE_CHARS, len(text) - _SHOWN_CHARS))
    stop = start + _SHOWN_CHARS
    return ("..." if start else "") + text[start:stop] + ("..." if stop < len(text) else "")
