"""From a result to the assistant message of the next request.

What a provider sealed is sent back byte for byte and in its order: Anthropic refuses thinking
that was changed, and OpenAI refuses reasoning without the item that followed it.

A tool call that cannot be sent is refused with a `UsageError`, because the next request must
answer every call it names: a call that was cut and, where the API wants an object, a call whose
arguments are none. `omit_unusable=True` leaves such calls out.

Reasoning is of use to the API it came from only; pass `reasoning=False` when the next request
goes elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from tokenline.errors import UsageError
from tokenline.events import ReasoningKind, ToolKind
from tokenline.result import Answer, BlockPart, ReasoningPart, RefusalPart, TextPart, ToolCall

if TYPE_CHECKING:
    from anthropic.types import MessageParam
    from openai.types.chat import ChatCompletionAssistantMessageParam
    from openai.types.responses import ResponseInputItemParam

_Json = dict[str, Any]
_REBUILT = frozenset({"type", "id", "role", "status", "content", "summary", "encrypted_content"})
_FINAL = ("completed", "incomplete", "failed")


def _is_usable(call: ToolCall, *, as_object: bool, omit_unusable: bool) -> bool:
    if call.complete and not (as_object and call.parsed is None):
        return True
    if omit_unusable or call.kind is ToolKind.SERVER:
        return False
    why = call.parse_error or "its arguments are free text"
    raise UsageError(
        f"tool call {call.id!r} of {call.name!r} cannot be sent back: {why};"
        " leave such calls out with omit_unusable=True"
    )


def _require_content(content: object) -> None:
    if not content:
        raise UsageError("the result holds nothing to send back: leave this message out")


def to_anthropic_message(
    answer: Answer, *, reasoning: bool = True, omit_unusable: bool = False
) -> MessageParam:
    """The assistant message for the next Anthropic Messages request.

    Thinking goes back with its signature, or not at all: a block that was cut has none. Empty
    text is left out, the API refuses it. Form:
    docs.claude.com/en/api/messages and docs.claude.com/en/docs/build-with-claude/extended-thinking

    Args:
        answer: a result, or one of its choices.
        reasoning: send thinking back.
        omit_unusable: leave out tool calls that are incomplete or whose arguments are no
            JSON object.

    Raises:
        UsageError: a tool call cannot be sent back, or there is nothing to send.
    """
    blocks: list[_Json] = []
    for part in answer.content:
        if isinstance(part, ReasoningPart):
            blocks.extend(_thinking_block(part) if reasoning else ())
        elif isinstance(part, ToolCall):
            if _is_usable(part, as_object=True, omit_unusable=omit_unusable):
                blocks.append(_tool_use_block(part))
        elif isinstance(part, BlockPart):
            blocks.extend(_whole_block(part))
        elif part.text:
            blocks.append(_text_block(part))
    _require_content(blocks)
    return cast("MessageParam", {"role": "assistant", "content": blocks})


def _thinking_block(part: ReasoningPart) -> Iterator[_Json]:
    if part.kind is ReasoningKind.REDACTED:
        if part.data is not None:
            yield {"type": "redacted_thinking", "data": part.data}
    elif part.signature is not None:
        yield {"type": "thinking", "thinking": part.text, "signature": part.signature}


def _tool_use_block(call: ToolCall) -> _Json:
    type_ = "server_tool_use" if call.kind is ToolKind.SERVER else "tool_use"
    block: _Json = {"type": type_}
    for data in call.provider_data:
        if isinstance(data, dict):
            block |= data
    return block | {"id": call.id, "name": call.name, "input": call.parsed}


def _whole_block(part: BlockPart) -> Iterator[_Json]:
    if not isinstance(part.data, dict):
        return
    block: _Json = dict(part.data)
    for delta in part.provider_data:
        for key, value in delta.items() if isinstance(delta, dict) else ():
            if isinstance(value, str) and isinstance(block.get(key), str):
                value = block[key] + value
            if key != "type":
                block[key] = value
    yield block


def _text_block(part: TextPart | RefusalPart) -> _Json:
    block: _Json = {"type": "text", "text": part.text}
    if part.citations:
        block["citations"] = list(part.citations)
    return block


def to_openai_chat_message(
    answer: Answer, *, reasoning_field: str | None = None, omit_unusable: bool = False
) -> ChatCompletionAssistantMessageParam:
    """The assistant message for the next OpenAI Chat Completions request.

    Form: platform.openai.com/docs/api-reference/chat/create. Speech is named by its id, and
    Gemini's seal on a call goes where its compatible API wants it
    (ai.google.dev/gemini-api/docs/thought-signatures). Calls the provider ran itself and other
    blocks have no place in a chat message and are left out.

    Args:
        answer: a result, or one of its choices.
        reasoning_field: where a compatible server wants its reasoning back, such as
            `reasoning_content`; OpenAI's own API takes none.
        omit_unusable: leave out tool calls that are incomplete.

    Raises:
        UsageError: a tool call cannot be sent back, or there is nothing to send.
    """
    calls = [
        _chat_tool_call(call)
        for call in answer.tool_calls
        if _is_usable(call, as_object=False, omit_unusable=omit_unusable)
    ]
    message: _Json = {"role": "assistant", "content": answer.text or None}
    if answer.refusal:
        message["refusal"] = answer.refusal
    if reasoning_field is not None and answer.reasoning:
        message[reasoning_field] = answer.reasoning
    if calls:
        message["tool_calls"] = calls
    audio_id = _audio_id(answer)
    if audio_id is not None:
        message["audio"] = {"id": audio_id}
    _require_content(answer.text or answer.refusal or calls or audio_id)
    return cast("ChatCompletionAssistantMessageParam", message)


def _audio_id(answer: Answer) -> str | None:
    for part in answer.parts(BlockPart):
        for data in part.provider_data if part.block_type == "audio" else ():
            if isinstance(data, dict) and isinstance(data.get("id"), str):
                return str(data["id"])
    return None


def _chat_tool_call(call: ToolCall) -> _Json:
    if call.kind is ToolKind.CUSTOM:
        custom = {"name": call.name, "input": call.arguments}
        return {"type": "custom", "id": call.id, "custom": custom}
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    item: _Json = {"type": "function", "id": call.id, "function": function}
    if call.signature is not None:
        item["extra_content"] = {"google": {"thought_signature": call.signature}}
    return item


def to_openai_responses_items(
    answer: Answer, *, reasoning: bool = True, omit_unusable: bool = False
) -> list[ResponseInputItemParam]:
    """The input items for the next OpenAI Responses request, to be put before the tool outputs.

    Parts of one provider item become one item again. Reasoning at the very end is left out: the
    API refuses it without the item that it led to. Form:
    platform.openai.com/docs/api-reference/responses/create and
    platform.openai.com/docs/guides/reasoning

    Args:
        answer: a result, or one of its choices.
        reasoning: send reasoning items back.
        omit_unusable: leave out tool calls that are incomplete.

    Raises:
        UsageError: a tool call cannot be sent back.
    """
    items = _ResponsesItems()
    for part in answer.content:
        if isinstance(part, ReasoningPart):
            if reasoning:
                items.add_reasoning(part)
        elif isinstance(part, ToolCall):
            if _is_usable(part, as_object=False, omit_unusable=omit_unusable):
                items.add_call(part)
        elif isinstance(part, BlockPart):
            if reasoning or part.block_type != "reasoning":
                items.add_block(part)
        else:
            items.add_text(part)
    return cast("list[ResponseInputItemParam]", items.finished())


class _ResponsesItems:
    """Puts the parts of each output item together again, found by the item's id."""

    def __init__(self) -> None:
        self._items: list[_Json] = []
        self._by_id: dict[tuple[str, str], _Json] = {}

    def _item(self, type_: str, id_: str) -> _Json:
        known = self._by_id.get((type_, id_))
        if known is not None:
            return known
        item: _Json = {"type": type_, "id": id_}
        if type_ == "message":
            item |= {"role": "assistant", "status": "completed", "content": []}
        else:
            item["summary"] = []
        self._by_id[type_, id_] = item
        self._items.append(item)
        return item

    def add_reasoning(self, part: ReasoningPart) -> None:
        if part.provider_id is None:
            return
        item = self._item("reasoning", part.provider_id)
        if part.kind is ReasoningKind.SUMMARY:
            item["summary"].append({"type": "summary_text", "text": part.text})
        elif part.kind is ReasoningKind.NATIVE:
            text = {"type": "reasoning_text", "text": part.text}
            item.setdefault("content", []).append(text)
        if part.data is not None:
            item["encrypted_content"] = part.data

    def add_text(self, part: TextPart | RefusalPart) -> None:
        if part.provider_id is None:
            if part.text:
                self._items.append({"role": "assistant", "content": part.text})
            return
        content = self._item("message", part.provider_id)["content"]
        if isinstance(part, RefusalPart):
            content.append({"type": "refusal", "refusal": part.text})
        else:
            annotations = list(part.citations)
            content.append({"type": "output_text", "text": part.text, "annotations": annotations})

    def add_block(self, part: BlockPart) -> None:
        """Add an item of another type, or what a message or reasoning item has besides text."""
        data = part.data
        if not isinstance(data, dict):
            return
        if part.block_type in ("message", "reasoning") and part.provider_id is not None:
            item = self._item(part.block_type, part.provider_id)
            if data.get("type") == part.block_type:
                item |= {name: value for name, value in data.items() if name not in _REBUILT}
            else:
                item.setdefault("content", []).append(data)
        elif data.get("status", "completed") in _FINAL:
            self._items.append(data)

    def add_call(self, call: ToolCall) -> None:
        whole: _Json = {}
        for data in call.provider_data:
            if isinstance(data, dict) and "id" in data:
                whole = data
        if call.kind is ToolKind.SERVER:
            self._items.extend([whole] if whole else ())
            return
        item = whole | {"call_id": call.id, "name": call.name}
        if call.kind is ToolKind.CUSTOM:
            item |= {"type": "custom_tool_call", "input": call.arguments}
        else:
            item |= {"type": "function_call", "arguments": call.arguments or "{}"}
        if call.provider_id is not None:
            item["id"] = call.provider_id
        self._items.append(item)

    def finished(self) -> list[_Json]:
        items = [i for i in self._items if i.get("type") != "message" or i.get("content")]
        while items and items[-1].get("type") == "reasoning":
            items.pop()
        return items
