"""Gemini's responses as tokenline events.

Gemini sends parts piece by piece and has no end marker. Consecutive text of one kind is one
part; a function call comes whole (Vertex AI can stream it). A candidate is over with its
`finishReason`, the message when the body ends after that.

- Signatures stay on the part they came with; an empty text part with a signature signs the
  open text, or opens a part of its own.
- A prompt that was blocked ends like an answer that was: `Finish` with `CONTENT_FILTER` and
  the `blockReason`. The `promptFeedback` is a provider block, and so are `finishMessage` and
  `safetyRatings` of an answer that did not end well; else these come as `UnknownEvent` to runs
  that pass unknown input through, and so does `avgLogprobs`.
- Usage: `input_tokens` is prompt plus tool-use prompt, `output_tokens` is candidates plus
  thoughts, so that both add up to Gemini's total.

Source: ai.google.dev/api/generate-content, ai.google.dev/gemini-api/docs/thought-signatures.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Raw

from tokenline.errors import LimitExceededError, StreamCutError
from tokenline.events import (
    Citation,
    Event,
    FinishReason,
    Logprobs,
    PartKind,
    ProviderBlock,
    ReasoningDelta,
    ReasoningKind,
    ReasoningSignature,
    TextDelta,
    UnknownEvent,
)
from tokenline.stage import StepContext
from tokenline_stages.emission import Emission
from tokenline_stages.wire.items import Comment, Done, Unknown

from . import wire
from .calls import Calls
from .unread import unread_of
from .vocabulary import BLOCK_TYPES, FINISH_REASONS, read_failure, read_usage

_UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"
_EXPECTED = frozenset({FinishReason.STOP, FinishReason.TOOL_CALLS, FinishReason.LENGTH})
_NOTHING = frozenset({b"", b"null", b"{}", b"[]"})


class _Candidate:
    """What is open in one candidate."""

    __slots__ = ("calls", "choice", "kind", "last", "part", "raw", "reason", "signature")

    def __init__(self, calls: Calls, choice: int) -> None:
        self.calls = calls
        self.choice = choice
        self.kind: PartKind | None = None
        self.part = -1
        self.last = -1
        self.signature: str | None = None
        self.reason: FinishReason | None = None
        self.raw: str | None = None


class GeminiNormalizer:
    """From Gemini's chunks to events; one for each response.

    Args:
        context: the run.
        provider: provider name in errors, `gcp.gemini` or `gcp.vertex_ai`.

    `feed` raises `ProviderError` for an error inside the stream, `MalformedStreamError`,
    `LimitExceededError` and, if strict, `UnknownEventError`; `finish` raises `StreamCutError`.
    """

    def __init__(self, context: StepContext, provider: str = "gcp.gemini") -> None:
        self._emission = Emission(context)
        self._limits = context.limits
        self._pass_unknown = context.pass_unknown
        self._is_watchful = context.pass_unknown or context.strict
        self._provider = provider
        self._candidates: dict[int, _Candidate] = {}
        self._blocked: str | None = None
        self._usage: dict[str, Any] | None = None
        self._raw_parts: list[tuple[Raw, ...]] | None = None
        self._id: str | None = None
        self._model: str | None = None

    @property
    def unknown(self) -> int:
        """How many unknown items were met."""
        return self._emission.unknown

    def feed(
        self, items: Sequence[wire.Item | Comment | Done], recv_ns: int, out: list[Event]
    ) -> None:
        """Turn a batch of chunks into events."""
        emission = self._emission
        emission.begin(recv_ns, out)
        for item in items:
            if isinstance(item, wire.Chunk):
                self._chunk(item)
            elif isinstance(item, wire.Chunks):
                for chunk in item.chunks:
                    self._chunk(chunk)
            elif isinstance(item, Comment):
                emission.ping()
            elif isinstance(item, Unknown):
                emission.skip(item.type, item.data)

    def finish(self, recv_ns: int, out: list[Event]) -> None:
        """End the message if every candidate has finished, else raise `StreamCutError`."""
        emission = self._emission
        emission.begin(recv_ns, out)
        candidates = self._candidates.values()
        finished = all(candidate.reason for candidate in candidates) and bool(candidates)
        if not (finished or self._blocked):
            if self._model:
                emission.message_start(None, self._model)
            self._break_off()
            raise StreamCutError(
                "Gemini's response ended without a finish reason; send the request again",
                provider=self._provider,
            )
        for candidate in candidates:
            candidate.calls.break_off()
            self._close(candidate)
        if self._blocked:
            emission.message_end(FinishReason.CONTENT_FILTER, self._blocked)
        else:
            first = self._candidates[min(self._candidates)]
            emission.message_end(first.reason, first.raw)

    def _chunk(self, chunk: wire.Chunk) -> None:
        if chunk.error is not None:
            self._break_off()
            raise read_failure(chunk.error, self._provider)
        emission = self._emission
        if not emission.started:
            self._begin(chunk)
        self._raw_parts = None
        for position, candidate in enumerate(chunk.candidates or ()):
            self._candidate(chunk, position, candidate)
        feedback = chunk.prompt_feedback
        if feedback is not None and feedback.block_reason:
            self._block_prompt(chunk, feedback.block_reason)
        usage = chunk.usage_metadata
        if usage and usage != self._usage:
            self._usage = usage
            emission.usage(read_usage(usage))
        if self._is_watchful:
            for name, data in unread_of(chunk):
                emission.skip(name, data)

    def _begin(self, chunk: wire.Chunk) -> None:
        """Start the message; without an id only once there is something to tell."""
        self._id = self._id or chunk.response_id
        self._model = self._model or chunk.model_version
        if self._id or chunk.candidates or chunk.prompt_feedback or chunk.usage_metadata:
            self._emission.message_start(self._id, self._model)

    def _candidate(self, chunk: wire.Chunk, position: int, candidate: wire.Candidate) -> None:
        choice = candidate.index or 0
        state = self._candidates.get(choice)
        if state is None:
            state = self._new_candidate(choice)
        if candidate.content is not None and candidate.content.parts:
            self._parts(chunk, position, candidate.content.parts, state)
        if (
            candidate.grounding_metadata
            or candidate.citation_metadata
            or candidate.url_context_metadata
            or candidate.logprobs_result
        ):
            self._annotations(candidate, state)
        reason = candidate.finish_reason
        if reason and reason != _UNSPECIFIED:
            self._finish(candidate, reason, state)

    def _new_candidate(self, choice: int) -> _Candidate:
        limit = self._limits.max_parts
        if len(self._candidates) >= limit:
            raise LimitExceededError(
                f"more than {limit} candidates in one response; raise Limits.max_parts",
                limit="max_parts",
            )
        calls = Calls(self._emission, self._limits, choice)
        state = self._candidates[choice] = _Candidate(calls, choice)
        return state

    def _parts(
        self, chunk: wire.Chunk, position: int, parts: tuple[wire.Part, ...], state: _Candidate
    ) -> None:
        for number, part in enumerate(parts):
            call = part.function_call
            if part.text:
                self._text(part, part.text, state, None if call else part.thought_signature)
            if call is not None:
                self._close(state)
                state.calls.add(call, part.thought_signature)
                state.last = state.calls.last_part
            elif not part.text:
                self._other_part(part, self._raw_part(chunk, position, number), state)

    def _raw_part(self, chunk: wire.Chunk, position: int, number: int) -> wire.RawPart:
        """A part as sent; the chunk is read again once, whatever it holds of them."""
        if self._raw_parts is None:
            self._raw_parts = wire.read_parts(chunk.data)
        return wire.read_part(self._raw_parts[position][number])

    def _text(self, part: wire.Part, text: str, state: _Candidate, signature: str | None) -> None:
        kind = PartKind.REASONING if part.thought else PartKind.TEXT
        second = bool(signature and state.signature and signature != state.signature)
        if state.kind is not kind or second:
            self._open(kind, state)
        if text:
            emission = self._emission
            seq = emission.seq
            emission.seq = seq + 1
            delta = ReasoningDelta if part.thought else TextDelta
            stamps = seq, emission.recv_ns, emission.message_id
            emission.out.append(delta(*stamps, state.part, text, state.choice))
        if signature and signature != state.signature:
            state.signature = signature
            self._sign(state.part, signature, state)

    def _open(self, kind: PartKind, state: _Candidate) -> None:
        self._close(state)
        native = ReasoningKind.NATIVE if kind is PartKind.REASONING else None
        state.part = state.last = self._emission.open_part(kind, state.choice, native)
        state.kind = kind

    def _close(self, state: _Candidate) -> None:
        if state.kind is not None:
            self._emission.close_part(state.part, state.choice)
            state.kind = None
            state.signature = None

    def _sign(self, part: int, signature: str, state: _Candidate) -> None:
        self._emission.emit(ReasoningSignature, part, signature, state.choice)

    def _other_part(self, part: wire.Part, raw: wire.RawPart, state: _Candidate) -> None:
        emission = self._emission
        if raw.type in BLOCK_TYPES:
            self._block(raw.type, raw.data, state, raw.call_id)
            if part.thought_signature:
                self._sign(state.last, part.thought_signature, state)
            emission.close_part(state.last, state.choice)
        elif raw.type != "part":
            emission.skip(raw.type, raw.data)
        elif part.thought_signature:
            self._text(part, "", state, part.thought_signature)

    def _block(
        self, type_: str, data: bytes, state: _Candidate, call_id: str | None = None
    ) -> None:
        self._close(state)
        emission = self._emission
        state.last = emission.open_part(PartKind.BLOCK, state.choice)
        emission.emit(ProviderBlock, state.last, type_, data, call_id, state.choice)

    def _annotations(self, candidate: wire.Candidate, state: _Candidate) -> None:
        for raw in (
            candidate.citation_metadata,
            candidate.grounding_metadata,
            candidate.url_context_metadata,
        ):
            if raw and (data := bytes(raw)) not in _NOTHING:
                if state.last < 0:
                    self._open(PartKind.TEXT, state)
                self._emission.emit(Citation, state.last, data, state.choice)
        if bytes(candidate.logprobs_result) not in _NOTHING:
            self._emission.emit(Logprobs, bytes(candidate.logprobs_result), state.choice)

    def _finish(self, candidate: wire.Candidate, raw: str, state: _Candidate) -> None:
        reason = FINISH_REASONS.get(raw, FinishReason.OTHER)
        if reason is FinishReason.STOP and state.calls.count:
            reason = FinishReason.TOOL_CALLS
        if reason is state.reason:
            return
        state.calls.break_off()
        self._close(state)
        self._explain(candidate, reason in _EXPECTED, state)
        state.reason = reason
        state.raw = raw
        self._emission.finish(reason, raw, state.choice)

    def _explain(self, candidate: wire.Candidate, expected: bool, state: _Candidate) -> None:
        """Details of the end: provider blocks if it is no normal one."""
        self._pass("avgLogprobs", candidate.avg_logprobs)
        for name, raw in (
            ("finishMessage", candidate.finish_message),
            ("safetyRatings", candidate.safety_ratings),
        ):
            if expected:
                self._pass(name, raw)
            elif bytes(raw) not in _NOTHING:
                self._block(name, bytes(raw), state)
                self._emission.close_part(state.last, state.choice)

    def _pass(self, name: str, raw: Raw) -> None:
        """Hand on what is known but has no event of its own, if the run asks for it."""
        if self._pass_unknown and bytes(raw) not in _NOTHING:
            self._emission.emit(UnknownEvent, name, bytes(raw))

    def _block_prompt(self, chunk: wire.Chunk, reason: str) -> None:
        if self._blocked:
            return
        self._blocked = reason
        emission = self._emission
        part = emission.open_part(PartKind.BLOCK)
        feedback = wire.read_member(chunk.data, "promptFeedback")
        emission.emit(ProviderBlock, part, "promptFeedback", feedback)
        emission.close_part(part)
        emission.finish(FinishReason.CONTENT_FILTER, reason)

    def _break_off(self) -> None:
        for candidate in self._candidates.values():
            candidate.calls.break_off()
