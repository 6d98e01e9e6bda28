"""Measure LLM endpoints as their users meet them: TTFT the way the field defines it.

```python
from tokenline_bench import Endpoint, measure


def test_ttft():
    endpoint = Endpoint(model="my-model", provider="vllm", base_url=URL)
    report = measure(endpoint, requests=50, concurrency=4)
    assert report.ttft.at(0.9).value < 500e6
```

Reading order: `sample` (what is noted of a request), `metrics` (formulas), `load` (when requests
are sent), `work` (what they ask), `workers` and `session` (how it runs), `statistics`, `summary`
and `report` (what is said of it), `output` (where that goes). Needs the extra `tokenline[bench]`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import measure as measure
    from .api import measure_async as measure_async
    from .config import Bench as Bench
    from .config import ClosedLoop as ClosedLoop
    from .config import Endpoint as Endpoint
    from .config import FixedPrompt as FixedPrompt
    from .config import Objectives as Objectives
    from .config import OpenLoop as OpenLoop
    from .config import PromptFile as PromptFile
    from .config import Search as Search
    from .config import Synthetic as Synthetic
    from .config import TimedTrace as TimedTrace
    from .output.save import Files as Files
    from .output.save import save_report as save_report
    from .recorder import record_cassette as record_cassette
    from .report import Report as Report
    from .report import read_report as read_report
    from .session import Session as Session
    from .statistics import Distribution as Distribution

_PLACES = {
    "measure": "api",
    "measure_async": "api",
    "Bench": "config",
    "ClosedLoop": "config",
    "Endpoint": "config",
    "FixedPrompt": "config",
    "Objectives": "config",
    "OpenLoop": "config",
    "PromptFile": "config",
    "Search": "config",
    "Synthetic": "config",
    "TimedTrace": "config",
    "Files": "output.save",
    "save_report": "output.save",
    "record_cassette": "recorder",
    "Report": "report",
    "read_report": "report",
    "Session": "session",
    "Distribution": "statistics",
}

__all__ = tuple(_PLACES)


def __getattr__(name: str) -> Any:
    """A public name, imported when it is asked for: a worker needs no numpy."""
    from importlib import import_module

    if name in _PLACES:
        return getattr(import_module(f".{_PLACES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
