"""What the simulator answers, and when: a frozen, seeded description with a JSON form."""

from collections.abc import Mapping
from random import Random
from typing import Any, Literal

import msgspec

from tokenline.errors import ConfigError

from .distributions import Duration
from .faults import Fault


class ToolCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tool call in the answer.

    Attributes:
        name: the function's name.
        arguments: its arguments, as the raw JSON text to be sent.
        fragments: in how many pieces the arguments are sent; each counts as one token.
        id: its id; None makes one from the seed.
    """

    name: str = "get_weather"
    arguments: str = '{"city": "Zürich", "unit": "°C"}'
    fragments: int = 4
    id: str | None = None

    def __post_init__(self) -> None:
        if self.fragments < 1:
            raise ConfigError(f"fragments is {self.fragments}; give 1 or more")


class Plan(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One answer: its content, its timing, its form on the wire and its faults.

    Times count from the arrival of the request (where the server has a capacity: from its turn).
    Every send time is computed from the planned
    one before it, so that lateness does not add up. The same plan gives the same content for
    every request; drawn times differ from request to request and repeat with the seed.

    Attributes:
        seed: decides words, ids and every drawn time.
        headers_s: time to the response's headers, seconds.
        ttft_s: time to the first content event, seconds; a number or a distribution.
        inter_token_s: from one content event to the next; 0 sends as fast as it can.
        jitter_s: each content event is early or late by up to this, evenly drawn.
        tokens: number of text events when `text` is None.
        text: the text to send, one word an event; None makes words, emoji among them.
        reasoning_tokens: number of reasoning events before the text.
        reasoning_text: the reasoning to send instead.
        tool_calls: the calls after the text, or how many of a standard one.
        interleaved: send the fragments of parallel calls in turn instead of call by call.
        input_tokens: prompt size to report.
        cached_tokens: how much of it came from the cache.
        usage: `auto` as the API does it by default; for chat completions also `final` (a chunk
            with no choices), `finish` (on the finishing chunk); `none` leaves it out where it can.
        finish_reason: stop, length, tool_calls, content_filter, refusal or a raw word.
        role_chunk: chat completions: open with a chunk that has a role and no content.
        done_marker: chat completions: close with `data: [DONE]`.
        ping_every_s: send the API's sign of life at this interval; 0 for never.
        events_per_write: how many events go out together, when the last of them is due.
        events_per_chunk: how many events share one HTTP chunk.
        split_bytes: cut the body regardless of events: a size, or (least, most) drawn from the
            seed; the pieces are sent at their events' times.
        ascii_json: escape everything outside ASCII in JSON.
        message_id: the answer's id; None makes a new one for each request where the API has ids.
        obey_max_tokens: let the request's own limit shorten the text.
        speed: pace of a cassette; 2 is twice as fast, 0 is without any pause.
        headers: more response headers.
        faults: what goes wrong.
    """

    seed: int = 0
    headers_s: float = 0.0
    ttft_s: Duration = 0.1
    inter_token_s: Duration = 0.02
    jitter_s: float = 0.0
    tokens: int = 32
    text: str | None = None
    reasoning_tokens: int = 0
    reasoning_text: str | None = None
    tool_calls: int | tuple[ToolCall, ...] = ()
    interleaved: bool = False
    input_tokens: int = 12
    cached_tokens: int = 0
    usage: Literal["auto", "final", "finish", "none"] = "auto"
    finish_reason: str | None = None
    role_chunk: bool = True
    done_marker: bool = True
    ping_every_s: float = 0.0
    events_per_write: int = 1
    events_per_chunk: int = 1
    split_bytes: int | tuple[int, int] | None = None
    ascii_json: bool = False
    message_id: str | None = None
    obey_max_tokens: bool = False
    speed: float = 1.0
    headers: tuple[tuple[str, str], ...] = ()
    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        for name in _NOT_NEGATIVE:
            value = getattr(self, name)
            if isinstance(value, int | float) and not 0 <= value < float("inf"):
                raise ConfigError(f"{name} is {value}; give 0 or more")
        for name in ("events_per_write", "events_per_chunk"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; give 1 or more")
        sizes = (self.split_bytes,) if isinstance(self.split_bytes, int) else self.split_bytes
        if sizes is not None and (min(sizes) < 1 or sizes[0] > sizes[-1]):
            raise ConfigError(f"split_bytes is {self.split_bytes}; give sizes of 1 or more")

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tool calls, a number of them spelled out."""
        if isinstance(self.tool_calls, int):
            return (ToolCall(),) * self.tool_calls
        return self.tool_calls

    @property
    def is_constant(self) -> bool:
        """Whether every request gets the same bytes at the same times."""
        drawn = self.ttft_s, self.inter_token_s
        fixed = all(isinstance(x, int | float) for x in drawn)
        return fixed and not (self.jitter_s or self.faults or self.split_bytes)

    @property
    def content(self) -> "Plan":
        """A plan with the same content and neither times nor faults."""
        return msgspec.structs.replace(
            self,
            headers_s=0.0,
            ttft_s=0.0,
            inter_token_s=0.0,
            jitter_s=0.0,
            ping_every_s=0.0,
            events_per_write=1,
            events_per_chunk=1,
            split_bytes=None,
            headers=(),
            faults=(),
        )

    def with_changes(self, changes: Mapping[str, Any]) -> "Plan":
        """This plan with some fields replaced by values in their JSON form.

        Raises:
            ConfigError: an unknown field or a value of the wrong type.
        """
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        return convert_plan(msgspec.to_builtins(fields) | dict(changes))


_NOT_NEGATIVE = (
    "headers_s",
    "ttft_s",
    "inter_token_s",
    "jitter_s",
    "tokens",
    "reasoning_tokens",
    "tool_calls",
    "input_tokens",
    "cached_tokens",
    "ping_every_s",
    "speed",
)


class PlanMix(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Several plans; each request draws one by its number, the seed and the weights.

    Attributes:
        plans: what to choose from.
        weights: how often, in proportion; None for equally often.
        seed: decides the draws.
    """

    plans: tuple[Plan, ...]
    weights: tuple[float, ...] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.plans:
            raise ConfigError("plans is empty; give at least one")
        if self.weights is not None and len(self.weights) != len(self.plans):
            raise ConfigError(f"{len(self.plans)} plans need as many weights")

    def choose(self, number: int) -> Plan:
        """The plan of the request with that number."""
        return Random(f"mix:{self.seed}:{number}").choices(self.plans, self.weights)[0]


def convert_plan(value: object) -> Plan:
    """A plan from its JSON form (dicts, lists, numbers).

    Raises:
        ConfigError: says which field is wrong.
    """
    try:
        return msgspec.convert(value, Plan)
    except msgspec.ValidationError as error:
        raise ConfigError(f"bad plan: {error}") from error


def read_plan(text: str | bytes) -> Plan | PlanMix:
    """A plan or a mix of plans from JSON text.

    Raises:
        ConfigError: no JSON, or says which field is wrong.
    """
    try:
        value = msgspec.json.decode(text)
        if isinstance(value, dict) and "plans" in value:
            return msgspec.convert(value, PlanMix)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"bad plan: {error}") from error
    return convert_plan(value)
