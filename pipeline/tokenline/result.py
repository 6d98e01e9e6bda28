"""The result of a run; placeholder until the accumulator lands."""

from pydantic import BaseModel


class Result(BaseModel):
    """What a run has given so far."""
