"""The tool calls of one response, and when one is complete.

A call's arguments are checked once, as whole JSON, at its `content_block_stop`. The service sends
that event also for a call cut by `max_tokens`. A call without any arguments says nothing of
itself, so its end is held back while it is the last block: another block or a clean stop reason
shows that it takes none, any other stop reason that it was cut.
"""

import msgspec

from tokenline.errors import LimitExceededError
from tokenline.events import ProviderDelta, ToolCallDelta, ToolCallEnd, ToolCallStart, ToolKind
from tokenline_stages.emission import Emission

from . import structs, wire
from .open_block import OpenToolCall

# Stop reasons that leave no call cut.
_CLEAN_STOPS = frozenset({"end_turn", "tool_use", "pause_turn", "compaction"})
_NO_INPUT = frozenset({b"", b"null", b"{}", b'""'})


class ToolCalls:
    """Emits the events of tool calls.

    Args:
        emission: where they go.
        max_arguments_bytes: longest arguments of one call, UTF-8.
    """

    __slots__ = ("_emission", "_held", "_max_arguments_bytes")

    def __init__(self, emission: Emission, max_arguments_bytes: int) -> None:
        self._emission = emission
        self._max_arguments_bytes = max_arguments_bytes
        self._held: OpenToolCall | None = None

    def start(self, block: structs.ToolBlock, data: bytes) -> OpenToolCall:
        """Begin a call; `data` is its block as sent.

        What the block says beside id, name and input (an MCP server's name, the code that
        called) follows as a `ProviderDelta`: the provider wants it back.
        """
        part = self._emission.new_part()
        text = bytes(block.input)
        has_input = text.translate(None, b" \t\r\n") not in _NO_INPUT
        call = OpenToolCall(
            part,
            block.id or f"{self._emission.message_id}-{part}",
            block.name or "",
            text.decode("utf-8", "replace") if has_input else "",
        )
        is_own = isinstance(block, structs.ToolUseBlock)
        kind = ToolKind.FUNCTION if is_own else ToolKind.SERVER
        self._emission.emit(ToolCallStart, part, call.tool_call_id, call.name, kind)
        if _says_more(block):
            self._emission.emit(ProviderDelta, part, str(block.__struct_config__.tag), data)
        return call

    def grow(self, call: OpenToolCall, text: str | None) -> None:
        """Add a fragment of arguments, exactly as sent.

        Raises:
            LimitExceededError: the arguments are too long.
        """
        if not text:
            return
        call.arguments_bytes += len(text) if text.isascii() else len(text.encode())
        if call.arguments_bytes > self._max_arguments_bytes:
            raise LimitExceededError(
                f"arguments of tool call {call.tool_call_id!r} pass {self._max_arguments_bytes} "
                "bytes; raise Limits.max_arguments_bytes",
                limit="max_arguments_bytes",
            )
        call.fragments.append(text)
        emission = self._emission
        seq, part = emission.seq, call.part
        emission.seq = seq + 1
        emission.out.append(
            ToolCallDelta(
                seq, emission.recv_ns, emission.message_id, part, call.tool_call_id, call.name, text
            )
        )

    def stop(self, call: OpenToolCall, *, is_last: bool, stop_reason: str | None) -> None:
        """End a call at its block's stop, or hold its end (see the module)."""
        self._use_whole_input(call)
        if call.fragments:
            self._end(call, is_complete=wire.is_json("".join(call.fragments)))
        elif is_last and stop_reason is None:
            self._held = call
        else:
            self._end(call, is_complete=not is_last or stop_reason in _CLEAN_STOPS)

    def release(self) -> None:
        """The response went on: end the call that is held, if one is, as complete."""
        self._end_held(is_complete=True)

    def settle(self, stop_reason: str) -> None:
        """The response stopped: end the call that is held, if one is."""
        self._end_held(is_complete=stop_reason in _CLEAN_STOPS)

    def abandon_held(self) -> None:
        """The response was cut: end the call that is held, if one is."""
        self._end_held(is_complete=False)

    def abandon(self, call: OpenToolCall) -> None:
        """The response was cut: end an open call."""
        self._use_whole_input(call)
        self._end(call, is_complete=False)

    def _end_held(self, *, is_complete: bool) -> None:
        call, self._held = self._held, None
        if call is not None:
            self._end(call, is_complete=is_complete)

    def _use_whole_input(self, call: OpenToolCall) -> None:
        if not call.fragments:
            self.grow(call, call.whole_input)

    def _end(self, call: OpenToolCall, *, is_complete: bool) -> None:
        self._emission.emit(ToolCallEnd, call.part, call.tool_call_id, call.name, is_complete)


def _says_more(block: structs.ToolBlock) -> bool:
    if block.server_name or block.toolset_name:
        return True
    caller = bytes(block.caller)
    return caller not in _NO_INPUT and msgspec.json.decode(caller) != {"type": "direct"}
