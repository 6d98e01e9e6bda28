"""The clients compared, each with its environment."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environments import Environment

_ENVIRONMENTS = {
    "sdks": ("openai", "anthropic"),
    "litellm": ("litellm", "mcp"),  # it imports mcp once a request has tools
    "pydantic-ai": ("pydantic-ai-slim[openai,anthropic]",),
}


@dataclass(frozen=True, slots=True)
class Client:
    """One client with one API.

    Attributes:
        title: for the table.
        module: below `benchmarks.behaviour.peers`.
        package: whose version is told.
        api: `chat` or `messages`.
        environment: name of its environment; None runs in ours.
    """

    title: str
    module: str
    package: str
    api: str
    environment: str | None


CLIENTS = (
    Client("tokenline, chat", "tokenline_run", "tokenline", "chat", None),
    Client("tokenline, messages", "tokenline_run", "tokenline", "messages", None),
    Client("openai `create`", "openai_create", "openai", "chat", "sdks"),
    Client("openai `stream`", "openai_helper", "openai", "chat", "sdks"),
    Client("anthropic `stream`", "anthropic_helper", "anthropic", "messages", "sdks"),
    Client("litellm, chat", "litellm_completion", "litellm", "chat", "litellm"),
    Client("litellm, messages", "litellm_completion", "litellm", "messages", "litellm"),
    Client("pydantic-ai, chat", "pydantic_ai_agent", "pydantic-ai-slim", "chat", "pydantic-ai"),
    Client(
        "pydantic-ai, messages", "pydantic_ai_agent", "pydantic-ai-slim", "messages", "pydantic-ai"
    ),
)


class Environments:
    """The interpreters and versions of all clients; makes what is missing."""

    def __init__(self, folder: Path) -> None:
        self._known = {
            name: Environment(folder, f"behaviour-{name}", requirements)
            for name, requirements in _ENVIRONMENTS.items()
        }

    def python(self, client: Client) -> str:
        """The interpreter to run a client with; its environment is made if need be."""
        if client.environment is None:
            return sys.executable
        environment = self._known[client.environment]
        environment.make()
        python: str = environment.python
        return python

    def version(self, client: Client) -> str:
        """The version of a client's package, and of the SDK under it where it brings its own."""
        if client.environment is None:
            from importlib.metadata import version

            return version(client.package)
        found: dict[str, str] = self._known[client.environment].versions()
        under = [name for name in ("openai", "anthropic") if name in found]
        if client.environment == "sdks":
            return found[client.package]
        over = ", ".join(f"{name} {found[name]}" for name in under)
        return f"{found[client.package]} (over {over})"
