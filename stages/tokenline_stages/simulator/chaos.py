"""A seeded mix of everything that can go wrong, for runs of thousands of streams."""

import msgspec

from .faults import (
    Cut,
    Delay,
    DelayHeaders,
    DuplicateEvent,
    ErrorEvent,
    Fault,
    Gzip,
    HttpError,
    HugeHeaders,
    MalformedEvent,
    OversizedEvent,
    Redirect,
    ReorderedEvents,
    Reset,
    Silence,
    SlowLoris,
    WrongContentType,
    WrongLength,
)
from .plan import Plan, PlanMix

ALL_FAULTS: tuple[tuple[Fault, ...], ...] = (
    (DelayHeaders(delay_s=0.2),),
    (Delay(delay_s=0.2, at_byte=0),),
    (Delay(delay_s=0.2),),
    (Cut(),),
    (Cut(at_byte=0),),
    (Reset(),),
    (Silence(hold_s=30.0),),
    (SlowLoris(interval_s=0.0005, bytes_per_write=16),),
    (MalformedEvent(),),
    (OversizedEvent(size_bytes=20_000_000),),
    (DuplicateEvent(),),
    (ReorderedEvents(),),
    (ErrorEvent(),),
    (ErrorEvent(at_event=0),),
    (HttpError(status=429, retry_after="1"),),
    (HttpError(status=500, body="empty"),),
    (HttpError(status=502, body="html"),),
    (HttpError(status=529),),
    (WrongContentType(),),
    (WrongLength(delta_bytes=50),),
    (WrongLength(delta_bytes=-50),),
    (Gzip(),),
    (Gzip(declared=False),),
    (HugeHeaders(),),
    (Redirect(location="http://127.0.0.1:9/elsewhere"),),
)
"""One entry for each way to fail; faults without a place strike at a drawn one."""


def chaos_mix(plan: Plan, seed: int = 0, clean_share: float = 0.3) -> PlanMix:
    """The plan with every fault in turn, and without any for `clean_share` of the requests."""
    faulty = [msgspec.structs.replace(plan, faults=faults) for faults in ALL_FAULTS]
    share = (1 - clean_share) / len(faulty)
    return PlanMix(plans=(plan, *faulty), weights=(clean_share, *[share] * len(faulty)), seed=seed)
