"""What the normalizers show when they read bodies: the ground of the tables in docs/providers.md.

Bodies are the hand-written ones in tests/data and, where they are at hand, recordings.
`python -m tests.stages.providers.capabilities docs/providers.md` writes the tables anew.
"""

import base64
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from tests.conftest import find_corpus

from tokenline.errors import ProviderError, TokenlineError
from tokenline.events import (
    Citation,
    Event,
    Finish,
    FinishReason,
    Logprobs,
    PartKind,
    PartStart,
    Ping,
    ProviderBlock,
    ReasoningData,
    ReasoningSignature,
    RefusalDelta,
    TextDelta,
    ToolCallStart,
    ToolKind,
    UsageUpdate,
)
from tokenline.stage import RawChunk, StepContext
from tokenline_stages.connection import connect
from tokenline_stages.providers.catalog import ALIASES, BUILT_IN
from tokenline_stages.providers.openai_chat.quirks import quirks_of
from tokenline_stages.providers.registry import Api, known_providers, provider
from tokenline_stages.wire.aws_eventstream import encode_frame

DATA = Path(__file__).parents[2] / "data"

SHOWN_BY: dict[str, Callable[[Event], bool]] = {
    "text": lambda e: isinstance(e, TextDelta),
    "reasoning": lambda e: isinstance(e, PartStart) and e.kind is PartKind.REASONING,
    "seals": lambda e: isinstance(e, (ReasoningSignature, ReasoningData)),
    "tools": lambda e: isinstance(e, ToolCallStart) and e.kind is not ToolKind.SERVER,
    "server tools": lambda e: (
        (isinstance(e, ToolCallStart) and e.kind is ToolKind.SERVER)
        or (
            isinstance(e, ProviderBlock)
            and (e.tool_call_id is not None or e.type == "executed_tool")
        )
    ),
    "other blocks": lambda e: isinstance(e, ProviderBlock) and e.tool_call_id is None,
    "citations": lambda e: isinstance(e, Citation),
    "refusals": lambda e: (
        isinstance(e, RefusalDelta) or (isinstance(e, Finish) and e.reason is FinishReason.REFUSAL)
    ),
    "filter": lambda e: isinstance(e, Finish) and e.reason is FinishReason.CONTENT_FILTER,
    "logprobs": lambda e: isinstance(e, Logprobs),
    "choices": lambda e: getattr(e, "choice", 0) > 0,
    "usage": lambda e: isinstance(e, UsageUpdate),
    "pings": lambda e: isinstance(e, Ping),
}
"""Capability to the events that show it. Beside these: `errors`, a provider's error in a body."""

CAPABILITIES = (*SHOWN_BY, "errors")

APIS: dict[str, tuple[str, str]] = {
    # row of the table: a provider that speaks the API, and its wire API
    "Chat Completions": ("openai", "openai.chat"),
    "Responses": ("openai", "openai.responses"),
    "Messages": ("anthropic", "anthropic.messages"),
    "Messages on Bedrock": ("anthropic-bedrock", "anthropic.messages"),
    "Converse": ("bedrock", "bedrock.converse"),
    "InvokeModel": ("bedrock", "bedrock.invoke"),
    "Gemini": ("gemini", "gemini.generate_content"),
    "Ollama chat": ("ollama-native", "ollama.chat"),
    "Ollama generate": ("ollama-native", "ollama.generate"),
}

_BODIES: dict[str, tuple[str, ...]] = {
    "Chat Completions": ("openai_chat/*.sse",),
    "Responses": ("openai_responses/*.sse", "capabilities/responses*.sse"),
    "Messages": ("anthropic/*.sse", "capabilities/messages*.sse"),
    "Messages on Bedrock": ("anthropic/*.sse", "capabilities/messages*.sse"),
    "Converse": ("bedrock/converse*.jsonl",),
    "InvokeModel": ("bedrock/invoke*.jsonl", "capabilities/invoke*.jsonl"),
    "Gemini": ("gemini/*.sse",),
    "Ollama chat": ("ollama/[!g]*.ndjson", "capabilities/chat*.ndjson"),
    "Ollama generate": ("ollama/generate*.ndjson", "capabilities/generate*.ndjson"),
}


def api_of(row: str) -> Api:
    """The wire API of a row."""
    name, api = APIS[row]
    return provider(name).api_named(api)


def written_capabilities(row: str) -> set[str]:
    """What the hand-written bodies of a row show."""
    shown: set[str] = set()
    for path in sorted(path for pattern in _BODIES[row] for path in DATA.glob(pattern)):
        body = path.read_bytes()
        if path.suffix == ".jsonl":
            body = b"".join(_frame(*json.loads(line)) for line in body.splitlines())
        elif row == "Messages on Bedrock":
            body = _in_frames(body)
        shown |= capabilities(api_of(row), body)
    return shown


def capabilities(api: Api, body: bytes) -> set[str]:
    """What one body shows."""
    events, error = read(api, body)
    shown = {name for name, shows in SHOWN_BY.items() if any(map(shows, events))}
    return shown | ({"errors"} if isinstance(error, ProviderError) else set())


def read(api: Api, body: bytes) -> tuple[list[Event], TokenlineError | None]:
    """The events of a body, and the error that it ends with."""
    context = StepContext(message_id="m")
    parser: Any = api.parser().open(context)
    normalizer: Any = api.normalizer().open(context)
    events: list[Event] = []
    try:
        for step in (lambda out: parser.feed([RawChunk(body)], 0, out), parser_end(parser)):
            items: list[Any] = []
            try:
                step(items)
            finally:
                normalizer.feed(items, 0, events)
        normalizer.finish(0, events)
    except TokenlineError as error:
        return events, error
    return events, None


def parser_end(parser: Any) -> Callable[[list[Any]], None]:
    """The end of a body, as a step."""
    return lambda out: parser.finish(0, out)


def recordings(folder: Path) -> list[Path]:
    """The heads of the recordings in a folder."""
    return sorted(
        path.with_name(path.name.replace(".expected.json", ".json"))
        for path in folder.glob("*.expected.json")
    )


def recorded_capabilities(folder: Path) -> dict[str, set[str]]:
    """What the recordings in a folder show, by the server that they are of."""
    shown: dict[str, set[str]] = {}
    for path in recordings(folder):
        body = path.with_name(json.loads(path.read_bytes())["body_file"]).read_bytes()
        server, row = _recorded_row(path.name.partition(".")[0])
        shown.setdefault(server, set()).update(capabilities(api_of(row), body))
    return shown


_RECORDED = {
    "anthropic-bedrock": ("anthropic-bedrock", "Messages on Bedrock"),
    "anthropic-messages": ("anthropic", "Messages"),
    "anthropic-vertex": ("anthropic-vertex", "Messages"),
    "bedrock-converse": ("bedrock", "Converse"),
    "bedrock-invoke-amazon": ("bedrock", "InvokeModel"),
    "gemini": ("gemini", "Gemini"),
    "ollama-chat": ("ollama-native", "Ollama chat"),
    "ollama-generate": ("ollama-native", "Ollama generate"),
    "openai-chat": ("openai", "Chat Completions"),
    "openai-responses": ("openai", "Responses"),
}


def _recorded_row(kind: str) -> tuple[str, str]:
    """Server with its API, and the row, of a kind of recording such as `openai-compat-groq`."""
    server, row = _RECORDED.get(kind, ("", ""))
    for prefix, api in (
        ("openai-compat-", "Chat Completions"),
        ("openai-responses-compat-", "Responses"),
    ):
        if kind.startswith(prefix):
            server, row = kind.removeprefix(prefix), api
    return f"{server} | {row}", row


def tables() -> dict[str, str]:
    """The tables that need no recordings, by name."""
    return {"providers": provider_table(), "capabilities": capability_table()}


def provider_table() -> str:
    """Every provider: its APIs, its key's variable, its address and its GenAI name."""
    rows = ["| provider | APIs | key | address | GenAI name |", "|---|---|---|---|---|"]
    for name in known_providers():
        if name not in BUILT_IN:
            continue
        found = provider(name)
        apis = ", ".join(f"`{api.name}`" for api in found.apis)
        key = f"`{found.key_env}`" if found.key_env else ""
        source = connect(name, base_url="http://h").pipeline().source
        aliases = "".join(f", `{alias}`" for alias, of in ALIASES.items() if of == name)
        address = _address(name)
        rows.append(f"| `{name}`{aliases} | {apis} | {key} | {address} | `{source.provider}` |")
    return "\n".join(rows)


_ADDRESSES = {
    "anthropic": "https://api.anthropic.com",
    "anthropic-bedrock": "the region's",
    "anthropic-vertex": "the region's",
    "azure": "`AZURE_OPENAI_ENDPOINT`",
    "bedrock": "the region's",
    "gemini": "https://generativelanguage.googleapis.com",
    "ollama-native": "http://127.0.0.1:11434",
}


def _address(name: str) -> str:
    if name in _ADDRESSES:
        return _ADDRESSES[name]
    return quirks_of(name).base_url or "`base_url`"


def capability_table() -> str:
    """Every wire API and what hand-written bodies show of it."""
    return _table("API", {row: written_capabilities(row) for row in APIS})


def recorded_table(folder: Path) -> str:
    """Every recorded server and what its recordings show."""
    return _table("server | API", recorded_capabilities(folder))


def _table(head: str, rows: dict[str, set[str]]) -> str:
    columns = " | ".join(CAPABILITIES)
    lines = [f"| {head} | {columns} |", "|---" * (len(CAPABILITIES) + head.count("|") + 1) + "|"]
    for row, shown in sorted(rows.items()) if "|" in head else rows.items():
        marks = " | ".join("yes" if name in shown else "" for name in CAPABILITIES)
        lines.append(f"| {row} | {marks} |")
    return "\n".join(lines)


def marked(name: str, table: str) -> str:
    """A table between its marks, as it stands in the docs."""
    return f"<!-- {name} -->\n{table}\n<!-- end of {name} -->"


def write(path: Path, corpus: Path | None) -> None:
    """Put current tables into the docs; that of recordings only if they are at hand."""
    found = tables()
    if corpus is not None:
        found["recorded"] = recorded_table(corpus)
    text = path.read_text()
    for name, table in found.items():
        before, _, rest = text.partition(f"<!-- {name} -->")
        after = rest.partition(f"<!-- end of {name} -->")[2]
        text = before + marked(name, table) + after
    path.write_text(text)


def _frame(form: str, *rest: Any) -> bytes:
    if form == "chunk":
        return _chunk(msgspec.json.encode(rest[0]))
    type_, payload = rest[0], msgspec.json.encode(rest[1])
    name = ":event-type" if form == "event" else ":exception-type"
    return encode_frame({name: type_, ":message-type": form}, payload)


def _chunk(event: bytes) -> bytes:
    payload = b'{"bytes":"' + base64.b64encode(event) + b'"}'
    return encode_frame({":event-type": "chunk", ":message-type": "event"}, payload)


def _in_frames(body: bytes) -> bytes:
    """The events of an SSE body, each in a Bedrock frame."""
    return b"".join(_chunk(data) for data in _data_lines(body.splitlines()))


def _data_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    for line in lines:
        name, _, value = line.partition(b":")
        if name == b"data" and value.strip() != b"[DONE]":
            yield value.strip()


if __name__ == "__main__":
    write(Path(sys.argv[1]), find_corpus())
