"""The provider APIs that the simulator speaks; one module for each."""

import re
from dataclasses import dataclass

from .anthropic import ANTHROPIC
from .api import WireApi
from .bedrock import BEDROCK_CONVERSE, BEDROCK_INVOKE
from .gemini import GEMINI
from .ollama import OLLAMA_CHAT, OLLAMA_GENERATE
from .openai_chat import OPENAI_CHAT
from .openai_responses import OPENAI_RESPONSES


@dataclass(frozen=True, slots=True)
class Route:
    """Paths of one API; the pattern's group `model` is a model named in the path."""

    pattern: re.Pattern[str]
    api: WireApi


def _route(pattern: str, api: WireApi) -> Route:
    return Route(re.compile(pattern), api)


ROUTES: tuple[Route, ...] = (
    _route(r".*/deployments/(?P<model>[^/]+)/chat/completions", OPENAI_CHAT),
    _route(r".*/chat/completions", OPENAI_CHAT),
    _route(r".*/responses", OPENAI_RESPONSES),
    _route(r".*/v1/messages", ANTHROPIC),
    _route(r".*/models/(?P<model>[^/:]+):(streamRawPredict|rawPredict)", ANTHROPIC),
    _route(r".*/models/(?P<model>[^/:]+):(streamGenerateContent|generateContent)", GEMINI),
    _route(r".*/api/chat", OLLAMA_CHAT),
    _route(r".*/api/generate", OLLAMA_GENERATE),
    _route(r".*/model/(?P<model>.+)/converse(-stream)?", BEDROCK_CONVERSE),
    _route(r".*/model/(?P<model>.+)/invoke(-with-response-stream)?", BEDROCK_INVOKE),
)


def find_route(path: str) -> tuple[WireApi, str | None] | None:
    """The API that serves a path, and the model that the path names; None for no API."""
    for route in ROUTES:
        match = route.pattern.fullmatch(path)
        if match is not None:
            return route.api, match.groupdict().get("model")
    return None
