"""The stages a response runs through, in the order of the flow, and the providers.

1. `source`: opens the provider's stream (official SDK clients) and reads raw bytes
2. `parser`: bytes to the provider's typed wire items (formats in `wire/`)
3. `normalizer`: wire items to one vocabulary of events (one folder a provider in `providers/`)
4. `fanout`: every branch gets every event
5. `consumer`: what `async for event in run` reads; `accumulator`: the result
6. `trace_emitter`: one record of every run to telemetry and sinks

`connect("openai")` puts them together; `replay` makes the next request's message of a result.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

from tokenline.telemetry.content import add_prompt_reader as _add_prompt_reader

from .accumulator import Accumulator as Accumulator
from .accumulator import accumulator as accumulator
from .connection import Connection as Connection
from .connection import Fallback as Fallback
from .connection import build_pipeline as build_pipeline
from .connection import connect as connect
from .consumer import consumer as consumer
from .consumer import reader as reader
from .fanout import sink as sink
from .normalizer import normalizer as normalizer
from .parser import event_stream_parser as event_stream_parser
from .parser import ndjson_parser as ndjson_parser
from .parser import sse_parser as sse_parser
from .providers.registry import Access as Access
from .providers.registry import Api as Api
from .providers.registry import Provider as Provider
from .providers.registry import has as has
from .providers.registry import known_providers as known_providers
from .providers.registry import provider as provider
from .providers.registry import register as register
from .replay import to_anthropic_message as to_anthropic_message
from .replay import to_openai_chat_message as to_openai_chat_message
from .replay import to_openai_responses_items as to_openai_responses_items
from .trace_emitter import TraceEmitter as TraceEmitter

if TYPE_CHECKING:
    from .direct import DirectSource as DirectSource
    from .emission import Emission as Emission
    from .http.source_spec import SourceSpec as SourceSpec
    from .source import SdkSource as SdkSource

_LATER = {
    "DirectSource": ".direct",
    "Emission": ".emission",
    "SdkSource": ".source",
    "SourceSpec": ".http.source_spec",
}
"""What authors of providers need, and the module it is in: imported when it is asked for."""

_add_prompt_reader("tokenline_stages.prompts:read_prompt")


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(_import_module(_LATER[name], __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
