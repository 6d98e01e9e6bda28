"""Anthropic Messages as a wire API: source, parser and normalizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tokenline.source import Source
from tokenline.stage import RawChunk, Stage, StageSpec, StepContext
from tokenline_stages.http.keys import find_key
from tokenline_stages.normalizer import normalizer
from tokenline_stages.parser import EventStreamParser, SseParser
from tokenline_stages.providers.registry import Access, Api, has

from .normalizer import MessagesNormalizer
from .platforms import DIRECT, Platform
from .prefill import continue_messages
from .structs import MessagesWire
from .unread import decoder_of, frame_decoder_of


def messages_api(
    platform: Platform = DIRECT, accepts: Callable[[Mapping[str, Any]], bool] | None = None
) -> Api:
    """`POST /v1/messages`, or what the platform has instead.

    Args:
        platform: where the models run.
        accepts: whether a payload is for this API; by default every one with `messages`.
    """
    name = platform.genai_name

    def parser() -> Stage[Any, Any]:
        if platform.frames:
            return StageSpec("parser", RawChunk, MessagesWire, open_frames)
        return StageSpec("parser", RawChunk, MessagesWire, open_sse)

    def open_frames(context: StepContext) -> EventStreamParser[MessagesWire]:
        return EventStreamParser(frame_decoder_of(context), context, name)

    def open_sse(context: StepContext) -> SseParser[MessagesWire]:
        return SseParser(decoder_of(context), context, name)

    return Api(
        name="anthropic.messages",
        source=lambda access: _source(platform, access),
        parser=parser,
        normalizer=lambda: normalizer(
            MessagesWire, lambda context: MessagesNormalizer(context, name)
        ),
        accepts=accepts or has("messages"),
        payload="`messages`",
        continue_from=continue_messages,
    )


def _source(platform: Platform, access: Access) -> Source:
    def sdk() -> Source:
        from .source import messages_source

        return messages_source(platform, access)

    if platform is not DIRECT:
        access.need_sdk(platform.name)
        return sdk()
    named = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
    if access.direct is None and find_key(access.api_key, *named) is None:
        return sdk()  # it finds more than keys: profiles, workload identities
    from .direct_source import direct_messages_source

    return access.choose(lambda: direct_messages_source(access), sdk)
