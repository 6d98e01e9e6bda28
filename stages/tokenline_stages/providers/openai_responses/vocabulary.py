"""Which output items the API is known to send, and who runs a custom call."""

from collections.abc import Mapping
from typing import Any

KNOWN_ITEMS = frozenset(
    {
        "additional_tools",
        "apply_patch_call",
        "apply_patch_call_output",
        "audio",
        "code_interpreter_call",
        "compaction",
        "computer_call",
        "computer_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "file_search_call",
        "function_call",
        "function_call_output",
        "image_generation_call",
        "local_shell_call",
        "local_shell_call_output",
        "mcp_approval_request",
        "mcp_approval_response",
        "mcp_call",
        "mcp_list_tools",
        "message",
        "program",
        "program_output",
        "reasoning",
        "shell_call",
        "shell_call_output",
        "tool_search_call",
        "tool_search_output",
        "web_search_call",
    }
)
"""Types of output items, as in `ResponseOutputItem`; any other counts as unknown."""

_ADDS_TOOLS = frozenset({"namespace", "programmatic_tool_calling", "tool_search"})


class DeclaredTools:
    """The custom tools that a request declares.

    Some servers stream what they run themselves as custom calls (xAI: `x_search`), so a custom
    call of a tool that the caller never declared is the server's own.
    """

    __slots__ = ("_names",)

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self._names = _custom_names(payload)

    def runs_itself(self, name: str) -> bool:
        """Whether the provider runs custom calls of `name`; False if nothing is known."""
        return self._names is not None and name not in self._names


def _custom_names(payload: Mapping[str, Any]) -> frozenset[str] | None:
    """Names of the declared custom tools; None if there may be tools that are not listed."""
    tools = payload.get("tools")
    if not isinstance(tools, list | tuple) or not tools or payload.get("prompt"):
        return None
    names: set[str] = set()
    for tool in tools:
        if not isinstance(tool, Mapping) or tool.get("type") in _ADDS_TOOLS:
            return None
        if tool.get("type") == "custom":
            names.add(str(tool.get("name")))
    return frozenset(names)
