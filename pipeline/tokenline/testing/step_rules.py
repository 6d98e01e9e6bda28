"""Rules of every step, checked by calling it by hand.

Numbers are those of the Reactive Streams specification, where a rule is one of its rules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from copy import deepcopy
from inspect import iscoroutinefunction
from typing import Any, get_args

from tokenline.errors import StreamCutError
from tokenline.events import Event
from tokenline.stage import FailureStep, StepContext

from .feeding import (
    PATIENCE_S,
    Hand,
    Played,
    StalledCallError,
    at_random,
    beginnings,
    play,
    run_calls,
    singly,
    whole,
)
from .rule import Broken, rule, skip
from .stage_case import KIT_MESSAGE_ID, Sample, StageCase

SEEDS = range(4)
_EVENTS = get_args(Event)


def _cuts(items: Sequence[Any]) -> list[tuple[str, list[Sequence[Any]]]]:
    cuts = [("in one batch", whole(items)), ("one by one", singly(items))]
    return cuts + [(f"cut with seed {seed}", at_random(items, seed)) for seed in SEEDS]


@rule
def ends_as_the_samples_say(case: StageCase) -> None:
    """Good input is taken, bad input raises the error it should, and out comes what should."""
    for sample in case.samples:
        played = play(case, sample, whole(sample.items))
        wanted = sample.fails
        if wanted is None and played.error is not None:
            raise Broken(f"{sample} raised {played.error!r}") from played.error
        if wanted is not None and not isinstance(played.error, wanted):
            raise Broken(f"{sample} should raise {wanted.__name__}, it raised {played.error!r}")
        if sample.gives is not None and played.items != list(sample.gives):
            given = Played(list(sample.gives), played.error, played.state)
            raise Broken(f"{sample} (expected, then seen): {given.difference(played)}")


@rule
def same_items_however_cut(case: StageCase) -> None:
    """The network cuts anywhere: every cut of the same input gives the same items."""
    for sample in case.samples:
        if sample.fails is None:
            _compare_cuts(case, sample)


@rule
def keeps_what_came_before_a_raise(case: StageCase) -> None:
    """What was given before an error is delivered: neither it nor the error depends on the cut.

    (1.4: a failure is signalled; 1.7: after what came before it.)
    """
    for sample in case.samples:
        broken_off = [] if sample.fails is not None else list(beginnings(sample.items))
        for number, items in enumerate(broken_off):
            part = Sample(items, context=sample.context, name=f"{sample}, cut short ({number})")
            _compare_cuts(case, part)
        if sample.fails is not None:
            _compare_cuts(case, sample)


def _compare_cuts(case: StageCase, sample: Sample) -> None:
    (_, first), *others = _cuts(sample.items)
    in_one = play(case, sample, first)
    _need_return(in_one, sample)
    for how, cut in others:
        played = play(case, sample, cut)
        if played != in_one:
            raise Broken(f"{sample}, in one batch or {how}: {in_one.difference(played)}")


def _need_return(played: Played, sample: Sample) -> None:
    if isinstance(played.error, StalledCallError):
        raise Broken(f"{sample}: {played.error}") from played.error


@rule
def every_run_has_a_step_of_its_own(case: StageCase) -> None:
    """Runs do not see each other: `open` gives fresh steps, and they share no state.

    (1.11 and 2.5: subscribers are independent, and a step serves one run.)
    """
    for sample in case.samples:
        alone = play(case, sample, singly(sample.items))
        for mixed in run_calls(case, _two_runs(case, sample)):
            if mixed != alone:
                raise Broken(f"{sample}, alone or beside another run: {alone.difference(mixed)}")
        again = play(case, sample, singly(sample.items))
        if again != alone:
            raise Broken(f"{sample}, in the first run or a later: {alone.difference(again)}")


async def _two_runs(case: StageCase, sample: Sample) -> list[Played]:
    hands = [Hand(case.stage.open(sample.context)) for _ in range(2)]
    errors: list[Exception | None] = [None, None]
    for batch in [*singly(sample.items), None]:
        for number, hand in enumerate(hands):
            try:
                if errors[number] is None:
                    await (hand.finish() if batch is None else hand.feed(batch))
            except Exception as error:
                errors[number] = error
    return [
        Played(hand.items, error, case.state_of(hand.step))
        for hand, error in zip(hands, errors, strict=True)
    ]


@rule
def leaves_its_input_alone(case: StageCase) -> None:
    """Batches are shared between branches: neither the list nor its items are changed.

    `out` is appended to and nothing else. (1.11: all subscribers get the same elements.)
    """
    for sample in case.samples:
        run_calls(case, _watch_input(case, sample))


async def _watch_input(case: StageCase, sample: Sample) -> None:
    step = case.stage.open(sample.context)
    items = list(sample.items)
    before, copies = list(items), _copy(items)
    mark = object()
    out: list[Any] = [mark]
    try:
        returned: Any = step.feed(items, 0, out)
        if iscoroutinefunction(step.feed):
            await returned
    except Exception:
        pass  # other rules look at errors
    if len(items) != len(before) or any(a is not b for a, b in zip(items, before, strict=True)):
        raise Broken(f"{sample}: its list of items was changed")
    if copies is not None and copies != items:
        raise Broken(f"{sample}: an item was changed")
    if out[:1] != [mark]:
        raise Broken(f"{sample}: something was put before what `out` held")


def _copy(items: list[Any]) -> list[Any] | None:
    try:
        copies = deepcopy(items)
    except Exception:
        return None
    return copies if copies == items else None


@rule
def gives_nothing_after_its_end(case: StageCase) -> None:
    """After a call has returned or raised, its `out` list is let alone; after the end, all are.

    (1.7: nothing is signalled after a terminal state.)
    """
    for sample in case.samples:
        hand = run_calls(case, _to_the_end(case, sample))
        if hand.late_output():
            raise Broken(f"{sample}: {hand.late_output()} items were given after a call's return")


async def _to_the_end(case: StageCase, sample: Sample) -> Hand:
    hand = Hand(case.stage.open(sample.context))
    try:
        for batch in singly(sample.items):
            await hand.feed(batch)
        await hand.finish()
    except Exception:
        pass  # a raise is an end too
    if case.is_async:
        await asyncio.sleep(PATIENCE_S)
    return hand


@rule
def ends_without_input(case: StageCase) -> None:
    """No input at all is an end like any other: `finish` returns or raises (1.5, 2.9)."""
    sample = Sample((), context=case.samples[0].context, name="empty input")
    _need_return(play(case, sample, ()), sample)


@rule
def hears_of_a_failure(case: StageCase) -> None:
    """A step with `fail` takes it at any point, in place of `finish`, without raising (1.4)."""
    if not isinstance(case.stage.open(case.samples[0].context), FailureStep):
        raise skip("the step has no `fail`")
    for sample in case.samples:
        for items in beginnings(sample.items):
            part = Sample(items, context=sample.context)
            run_calls(case, _fail_after(case, part))


async def _fail_after(case: StageCase, sample: Sample) -> None:
    hand = Hand(case.stage.open(sample.context))
    try:
        for batch in singly(sample.items):
            await hand.feed(batch)
    except Exception:
        return
    try:
        await hand.fail(StreamCutError("the input was cut"))
    except Exception as error:
        raise Broken(f"`fail` after {len(sample.items)} items raised {error!r}") from error


@rule
def numbers_its_events(case: StageCase) -> None:
    """Events are numbered without gaps from the context's numbers and stamped with their read.

    For stages that make events of something else.
    """
    for sample in case.samples:
        given = play(case, sample, whole(sample.items)).items
        if not given or not all(isinstance(item, _EVENTS) for item in given):
            raise skip("the stage gives no events")
        if any(isinstance(item, _EVENTS) for item in sample.items):
            raise skip("the stage passes events on")
        run_calls(case, _check_numbers(case, sample, 0))
        run_calls(case, _check_numbers(case, sample, 7))


async def _check_numbers(case: StageCase, sample: Sample, first: int) -> None:
    context = sample.context
    if first:
        context = StepContext(
            KIT_MESSAGE_ID,
            context.model,
            context.payload,
            first_seq=first,
            first_part=first,
            continued=True,
        )
    hand = Hand(case.stage.open(context))
    stamp_ns = 0
    try:
        for stamp_ns, batch in enumerate(singly(sample.items), 1):
            await hand.feed(batch, stamp_ns)
        await hand.finish(stamp_ns + 1)
    except Exception:
        pass  # other rules look at errors
    for at_ns, (out, count) in enumerate(hand.given, 1):
        for event in out[:count]:
            _check_event(event, context, at_ns)
    for number, event in enumerate(hand.items, first):
        if event.seq != number:
            raise Broken(f"{sample}: {event!r} should have seq {number}")


def _check_event(event: Any, context: StepContext, at_ns: int) -> None:
    if event.message_id != context.message_id:
        raise Broken(f"{event!r} has not the context's message id, {context.message_id!r}")
    if not 0 < event.recv_ns <= at_ns:
        raise Broken(f"{event!r} came of the read at {at_ns}")
    if getattr(event, "part", context.first_part) < context.first_part:
        raise Broken(f"{event!r} is of a part below the context's first, {context.first_part}")
