"""From the chunks of a Chat Completions stream to the common vocabulary.

One normalizer for OpenAI and every compatible server; what differs between them is data
(`quirks`), never a name.

Parts
    Text, reasoning, refusals and provider blocks follow each other in the order of time; tool
    calls overlap them (`tool_calls` says how fragments find their call and when a call is
    announced). A tool call is complete if its JSON is and the model stopped of itself; after
    any other finish reason the last call is incomplete, after a break all of them are.

Start and end
    `MessageStart` comes with the first chunk that has a choice, usage or citations, for Azure
    sends one without ids before it. `Finish` comes once for each choice; a second one only if
    the server corrects itself. The message ends at `[DONE]`, or with the body if every choice
    has a finish reason. A body that ends before is a `StreamCutError`, also an empty one.
    `[DONE]` without any content and without a finish reason is an `EmptyResponseError`.

Usage
    Counts may come anywhere, any number of times: a later one replaces, a null does not erase.
    Reasoning tokens without any reasoning part make an empty one of kind `OMITTED`.

Source: platform.openai.com/docs/api-reference/chat-streaming and the servers' references.
"""

from collections.abc import Sequence
from typing import Any, NoReturn

from msgspec.json import encode

from tokenline.errors import EmptyResponseError, LimitExceededError, StreamCutError
from tokenline.events import Event, ReasoningDelta, TextDelta
from tokenline.stage import StepContext
from tokenline_stages.emission import Emission
from tokenline_stages.wire.items import Comment, Done, Unknown

from .choice import NO_FAST_WAY, ChoiceNormalizer, FastWay
from .chunk import ChatChunk, Choice, Delta, ErrorChunk, PlainChunk, WatchedChunk
from .failures import read_failure, typed_error
from .lenient import write
from .quirks import Quirks
from .usage import UsageLedger
from .wire import ChatWire

_PLAIN = Quirks()


class ChatNormalizer:
    """One response's worth of chat chunks; a `tokenline.stage.Step`.

    Args:
        context: what the step may know of its run; tool names in the payload let tool calls be
            announced early.
        provider: the provider's name, for error messages.
        quirks: the server's ways.

    `feed` raises `ProviderError` for an error inside the stream, `EmptyResponseError`,
    `LimitExceededError`, `MalformedStreamError` for a tool name without end and, if strict,
    `UnknownEventError` for an event or a field; `finish` raises `StreamCutError`.
    """

    __slots__ = (
        "_blocks",
        "_choices",
        "_cited",
        "_context",
        "_current",
        "_emission",
        "_ended",
        "_fast_way",
        "_id",
        "_model",
        "_omitted",
        "_provider",
        "_quirks",
        "_usage",
    )

    def __init__(self, context: StepContext, provider: str, quirks: Quirks = _PLAIN) -> None:
        self._context = context
        self._provider = provider
        self._quirks = quirks
        self._emission = Emission(context)
        self._choices: dict[int, ChoiceNormalizer] = {}
        self._current: ChoiceNormalizer | None = None
        # Choice, open part, its event, and the tool calls if there is no open part.
        self._fast_way: FastWay = NO_FAST_WAY
        self._id: str | None = None
        self._model: str | None = None
        self._usage = UsageLedger()
        self._cited: set[bytes] = set()
        self._blocks: dict[str, bytes] = {}
        self._omitted = False
        self._ended = False

    @property
    def unknown(self) -> int:
        """How many unknown items were met."""
        return self._emission.unknown

    def feed(self, items: Sequence[ChatWire], recv_ns: int, out: list[Event]) -> None:
        """Turn a batch of chunks into events."""
        emission = self._emission
        emission.recv_ns = recv_ns  # `begin`, spelled out
        emission.out = out
        message_id = emission.message_id
        append = out.append
        index, part, event, calls = self._fast_way
        seq = emission.seq
        for item in items:
            if type(item) is PlainChunk:
                choice = item.choices[0]
                if event is TextDelta and choice.index == index and choice.delta.content:
                    append(TextDelta(seq, recv_ns, message_id, part, choice.delta.content, index))
                    seq += 1
                    continue
            elif type(item) is ChatChunk and (delta := _only_grows(item, index)) is not None:
                text: object = delta.content
                other: object = delta.reasoning_content or delta.reasoning or delta.reasoning_text
                if delta.tool_calls:
                    if calls is not None and not text and not other:
                        emission.seq = seq
                        calls.take(delta.tool_calls)
                        seq = emission.seq
                        continue
                else:
                    if event is ReasoningDelta:
                        text, other = other, text
                    if text and not other and event is not None and type(text) is str:
                        append(event(seq, recv_ns, message_id, part, text, index))
                        seq += 1
                        continue
            emission.seq = seq
            self._take(item)
            index, part, event, calls = self._fast_way
            seq = emission.seq
        emission.seq = seq

    def finish(self, recv_ns: int, out: list[Event]) -> None:
        """End the message if every choice has finished, else raise `StreamCutError`."""
        if self._ended:
            return
        self._emission.begin(recv_ns, out)
        choices = self._choices.values()
        if not choices or not all(choice.finished for choice in choices):
            self._break_off()
            raise StreamCutError(
                f"{self._provider}: the response ended without a finish reason and without"
                " [DONE]; send the request again",
                provider=self._provider,
            )
        self._end()

    def _take(self, item: ChatWire) -> None:
        if self._ended:
            return
        if isinstance(item, PlainChunk):
            self._take_chunk(item.widen())
        elif isinstance(item, ChatChunk):
            self._take_chunk(item)
            if isinstance(item, WatchedChunk):
                for field in item.unknown:
                    self._emission.skip(field.type, field.data)
        elif isinstance(item, Done):
            self._end()
        elif isinstance(item, Comment):
            self._emission.ping()
        elif isinstance(item, ErrorChunk):
            self._fail(item)
        elif isinstance(item, Unknown):
            self._emission.skip(item.type, item.data)

    def _take_chunk(self, chunk: ChatChunk) -> None:
        self._id = self._id or chunk.id or None
        self._model = self._model or chunk.model or None
        groq = chunk.x_groq
        usage = chunk.usage or (groq and _groq_usage(groq))
        if not self._emission.started and (chunk.choices or usage or chunk.citations):
            self._emission.message_start(self._id, self._model)
        for choice in chunk.choices or ():
            self._take_choice(choice)
        if not chunk.choices:
            for state in self._choices.values():
                state.finish()
        if chunk.citations or chunk.search_results or chunk.moderation:
            self._take_extras(chunk)
        if usage:
            self._take_usage(usage)
        if groq and groq.get("error"):
            self._fail(read_failure(groq["error"], write(groq), groq))
        self._fast_way = NO_FAST_WAY if self._current is None else self._current.fast_way

    def _take_choice(self, choice: Choice) -> None:
        state = self._choices.get(choice.index)
        if state is None:
            state = self._open_choice(choice.index)
        self._current = state
        state.take(choice)
        if choice.usage:
            self._take_usage(choice.usage)
        if choice.error:
            self._fail(read_failure(choice.error, write(choice.error), {}))

    def _open_choice(self, index: int) -> ChoiceNormalizer:
        limit = self._context.limits.max_parts
        if len(self._choices) >= limit:
            raise LimitExceededError(
                f"more than {limit} choices in one response; raise Limits.max_parts",
                limit="max_parts",
            )
        state = ChoiceNormalizer(self._emission, self._context, self._quirks, index)
        self._choices[index] = state
        return state

    def _take_extras(self, chunk: ChatChunk) -> None:
        if chunk.citations:
            new = [raw for raw in chunk.citations if bytes(raw) not in self._cited]
            self._cited.update(bytes(raw) for raw in new)
            if new:
                self._first().cite(new)
        if chunk.search_results:
            self._blocks["search_results"] = encode(chunk.search_results)
        if chunk.moderation:
            self._blocks["moderation"] = encode(chunk.moderation)

    def _take_usage(self, report: dict[str, Any]) -> None:
        usage = self._usage.take(report)
        if usage is None:
            return
        self._emission.usage(usage)
        if usage.reasoning_tokens and not any(c.reasoned for c in self._choices.values()):
            self._omitted = True
            # An open part goes on; the mark waits for its end.
            if self._choices and self._first().kind is None:
                self._mark_omitted()

    def _mark_omitted(self) -> None:
        self._omitted = False
        self._first().omit_reasoning()

    def _first(self) -> ChoiceNormalizer:
        if not self._choices:
            self._current = self._open_choice(0)
        return self._choices[min(self._choices)]

    def _end(self) -> None:
        choices = self._choices.values()
        for choice in choices:
            choice.finish()
            choice.end()
        if not any(choice.filled or choice.finished for choice in choices):
            raise EmptyResponseError(
                f"{self._provider}: the response ended without any content; send it again",
                provider=self._provider,
            )
        self._add_rest()
        first = self._first()
        self._ended = True
        self._fast_way = NO_FAST_WAY
        self._emission.message_end(first.reason, first.raw_reason)

    def _break_off(self) -> None:
        for choice in self._choices.values():
            choice.finish()
            choice.end(broken=True)
        if self._choices:
            self._add_rest()
        self._ended = True
        self._fast_way = NO_FAST_WAY

    def _add_rest(self) -> None:
        if self._omitted:
            self._mark_omitted()
        for type_, data in self._blocks.items():
            self._first().add_block(type_, data)

    def _fail(self, failure: ErrorChunk) -> NoReturn:
        if failure.chunk is not None:
            self._take_chunk(failure.chunk)
        self._break_off()
        raise typed_error(failure, self._provider)


def _only_grows(chunk: ChatChunk, index: int) -> Delta | None:
    """What is new in choice `index`, if the chunk has but text, reasoning or tools' arguments."""
    choices = chunk.choices
    if choices is None or len(choices) != 1:
        return None
    choice = choices[0]
    delta = choice.delta
    if (
        choice.index == index
        and delta is not None
        and choice.finish_reason is None
        and delta.reasoning_details is None
        and chunk.usage is None
        and choice.logprobs is None
        and not delta.refusal
        and delta.annotations is None
        and delta.extra_content is None
        and delta.function_call is None
        and delta.audio is None
        and delta.images is None
        and delta.executed_tools is None
        and choice.usage is None
        and choice.error is None
        and chunk.citations is None
        and chunk.search_results is None
        and chunk.x_groq is None
        and chunk.moderation is None
    ):
        return delta
    return None


def _groq_usage(groq: dict[str, Any]) -> dict[str, Any] | None:
    usage = groq.get("usage")
    if isinstance(usage, dict):
        return usage
    breakdown = groq.get("usage_breakdown")
    return {"usage_breakdown": breakdown} if breakdown else None
