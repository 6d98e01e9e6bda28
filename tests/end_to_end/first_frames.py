"""First frames of every wire API, and the clocks that each of them stops.

Written by hand from the providers' documentation.
"""

import base64
import json
from dataclasses import dataclass
from typing import Any

from tokenline_stages.wire.aws_eventstream import encode_frame


@dataclass(frozen=True)
class Frame:
    """Some bytes, and the clocks they stop: c(hunk), t(oken), a(nswer)."""

    data: bytes
    stops: str = ""


def chat(stops: str = "", **fields: Any) -> Frame:
    chunk = {"id": "c1", "object": "chat.completion.chunk", "model": "m", **fields}
    return Frame(f"data: {json.dumps(chunk)}\n\n".encode(), stops)


def delta(stops: str = "", **fields: Any) -> Frame:
    return chat(stops, choices=[{"index": 0, "delta": fields, "finish_reason": None}])


def event(kind: str, stops: str = "", **fields: Any) -> Frame:
    body = json.dumps({"type": kind, **fields})
    return Frame(f"event: {kind}\ndata: {body}\n\n".encode(), stops)


def candidate(stops: str, parts: list[Any], **usage: int) -> Frame:
    content = {"role": "model", "parts": parts} if parts else {"role": "model"}
    body = {"candidates": [{"index": 0, "content": content}], "usageMetadata": usage}
    return Frame(f"data: {json.dumps(body)}\n\n".encode(), stops)


def line(stops: str, **fields: Any) -> Frame:
    return Frame(json.dumps({"model": "m", "done": False, **fields}).encode() + b"\n", stops)


def aws(kind: str, stops: str = "", **fields: Any) -> Frame:
    headers = {":event-type": kind, ":message-type": "event"}
    return Frame(encode_frame(headers, json.dumps(fields).encode()), stops)


def piece_of(stops: str, index: int = 0, **content: Any) -> Frame:
    return aws("contentBlockDelta", stops, contentBlockIndex=index, delta=content)


def invoked(stops: str, **fields: Any) -> Frame:
    data = base64.b64encode(json.dumps(fields).encode()).decode()
    return aws("chunk", stops, bytes=data)


COMMENT = Frame(b": OPENROUTER PROCESSING\n\n")
ROLE = delta("c", role="assistant", content="")
MESSAGE = {
    "id": "m1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [],
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
MESSAGE_START = event("message_start", "c", message=MESSAGE)
PING = event("ping")
ITEM = {"id": "rs_1", "type": "reasoning", "summary": []}


def block(index: int, stops: str = "", **content: Any) -> Frame:
    return event("content_block_start", stops, index=index, content_block=content)


def piece(index: int, stops: str = "", **content: Any) -> Frame:
    return event("content_block_delta", stops, index=index, delta=content)


def stop(index: int) -> Frame:
    return event("content_block_stop", index=index)


def call(**function: Any) -> dict[str, Any]:
    return {"index": 0, "id": "t1", "type": "function", "function": function}


CASES: dict[str, tuple[str, str, list[Frame]]] = {
    "chat: role only, then text": (
        "openai",
        "chat",
        [ROLE, delta(content=""), delta("ta", content="Hi"), delta(content=" there")],
    ),
    "chat: comments while the model is queued": (
        "openai",
        "chat",
        [COMMENT, COMMENT, ROLE, COMMENT, delta("ta", content="Hi")],
    ),
    "chat: a filter's verdict on the prompt comes first": (
        "openai",
        "chat",
        [chat(choices=[], prompt_filter_results=[]), ROLE, delta("ta", content="Hi")],
    ),
    "chat: usage alone before any content": (
        "openai",
        "chat",
        [
            chat("c", choices=[], usage={"prompt_tokens": 3, "completion_tokens": 0}),
            delta("ta", content="Hi"),
        ],
    ),
    "chat: reasoning is a token, not the answer": (
        "openai",
        "chat",
        [ROLE, delta("t", reasoning_content="hm"), delta("a", content="Hi")],
    ),
    "chat: hidden reasoning is silence": (
        "openai",
        "chat",
        [
            ROLE,
            COMMENT,
            delta(content=None),
            delta("ta", content="Hi"),
            chat(
                choices=[],
                usage={
                    "prompt_tokens": 3,
                    "completion_tokens": 90,
                    "completion_tokens_details": {"reasoning_tokens": 80},
                },
            ),
        ],
    ),
    "chat: a tool call is the answer": (
        "openai",
        "chat",
        [ROLE, delta("ta", tool_calls=[call(name="f", arguments="")])],
    ),
    "chat: a refusal is the answer": ("openai", "chat", [ROLE, delta("ta", refusal="No")]),
    "messages: pings and the start of a block": (
        "anthropic",
        "messages",
        [
            MESSAGE_START,
            PING,
            block(0, type="text", text=""),
            PING,
            piece(0, "ta", type="text_delta", text="Hi"),
        ],
    ),
    "messages: visible thinking": (
        "anthropic",
        "messages",
        [
            MESSAGE_START,
            block(0, type="thinking", thinking="", signature=""),
            piece(0, "t", type="thinking_delta", thinking="hm"),
            piece(0, type="signature_delta", signature="c2ln"),
            stop(0),
            block(1, type="text", text=""),
            piece(1, "a", type="text_delta", text="Hi"),
        ],
    ),
    "messages: omitted and redacted thinking": (
        "anthropic",
        "messages",
        [
            MESSAGE_START,
            block(0, type="thinking", thinking="", signature=""),
            piece(0, type="signature_delta", signature="c2ln"),
            stop(0),
            block(1, type="redacted_thinking", data="AAAA"),
            stop(1),
            block(2, type="text", text=""),
            piece(2, "ta", type="text_delta", text="Hi"),
        ],
    ),
    "messages: a tool call is the answer": (
        "anthropic",
        "messages",
        [MESSAGE_START, block(0, "ta", type="tool_use", id="t1", name="f", input={})],
    ),
    "responses: created, in progress, a reasoning item": (
        "openai",
        "responses",
        [
            event("response.created", "c", response={"id": "r1", "model": "m", "output": []}),
            event("response.in_progress", response={"id": "r1", "model": "m", "output": []}),
            event("response.output_item.added", output_index=0, item=ITEM),
            event("response.output_item.done", output_index=0, item=ITEM),
            event(
                "response.output_item.added",
                output_index=1,
                item={"id": "msg_1", "type": "message", "role": "assistant", "content": []},
            ),
            event(
                "response.content_part.added",
                item_id="msg_1",
                output_index=1,
                content_index=0,
                part={"type": "output_text", "text": "", "annotations": []},
            ),
            event(
                "response.output_text.delta",
                "ta",
                item_id="msg_1",
                output_index=1,
                content_index=0,
                delta="Hi",
            ),
        ],
    ),
    "responses: comments and keep-alives": (
        "openai",
        "responses",
        [
            COMMENT,
            event("keepalive", sequence_number=0),
            event("response.created", "c", response={"id": "r1", "model": "m", "output": []}),
            event("keepalive", sequence_number=2),
            event(
                "response.output_text.delta",
                "ta",
                item_id="msg_1",
                output_index=0,
                content_index=0,
                delta="Hi",
            ),
        ],
    ),
    "responses: a reasoning summary is a token": (
        "openai",
        "responses",
        [
            event("response.created", "c", response={"id": "r1", "model": "m", "output": []}),
            event("response.output_item.added", output_index=0, item=ITEM),
            event(
                "response.reasoning_summary_text.delta",
                "t",
                item_id="rs_1",
                output_index=0,
                summary_index=0,
                delta="hm",
            ),
        ],
    ),
    "gemini: thoughts, then text": (
        "gemini",
        "generate_content",
        [candidate("ct", [{"text": "hm", "thought": True}]), candidate("a", [{"text": "Hi"}])],
    ),
    "gemini: counted thoughts, no text": (
        "gemini",
        "generate_content",
        [
            candidate("c", [], promptTokenCount=3, thoughtsTokenCount=50),
            candidate("ta", [{"text": "Hi"}]),
        ],
    ),
    "ollama: an empty message, thinking, text": (
        "ollama-native",
        "chat",
        [
            line("c", message={"role": "assistant", "content": ""}),
            line("t", message={"role": "assistant", "content": "", "thinking": "hm"}),
            line("a", message={"role": "assistant", "content": "Hi"}),
        ],
    ),
    "gemini: comments, a signature alone": (
        "gemini",
        "generate_content",
        [
            COMMENT,
            candidate("c", [{"text": "", "thought": True, "thoughtSignature": "c2ln"}]),
            candidate("ta", [{"text": "Hi"}]),
        ],
    ),
    "converse: role only, visible reasoning": (
        "bedrock",
        "converse",
        [
            aws("messageStart", "c", role="assistant"),
            piece_of("t", reasoningContent={"text": "hm"}),
            piece_of("", reasoningContent={"signature": "c2ln"}),
            aws("contentBlockStop", contentBlockIndex=0),
            piece_of("a", 1, text="Hi"),
        ],
    ),
    "converse: redacted reasoning, empty text": (
        "bedrock",
        "converse",
        [
            aws("messageStart", "c", role="assistant"),
            piece_of("", reasoningContent={"redactedContent": "AAAA"}),
            aws("contentBlockStop", contentBlockIndex=0),
            piece_of("", 1, text=""),
            piece_of("ta", 1, text="Hi"),
        ],
    ),
    "converse: usage alone before any content": (
        "bedrock",
        "converse",
        [
            aws("metadata", "c", usage={"inputTokens": 3, "outputTokens": 0}),
            piece_of("ta", text="Hi"),
        ],
    ),
    "converse: a tool call is the answer": (
        "bedrock",
        "converse",
        [
            aws("messageStart", "c", role="assistant"),
            aws(
                "contentBlockStart",
                "ta",
                contentBlockIndex=0,
                start={"toolUse": {"toolUseId": "t1", "name": "f"}},
            ),
        ],
    ),
    "invoke: counts alone, then text": (
        "bedrock",
        "completion",
        [
            invoked("c", generation="", prompt_token_count=3, generation_token_count=0),
            invoked("ta", generation="Hi", generation_token_count=1),
        ],
    ),
}
