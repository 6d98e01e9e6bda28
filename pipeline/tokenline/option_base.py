"""The base of all typed options."""

from pydantic import BaseModel, ConfigDict

KIB = 1024
MIB = 1024 * KIB


class Options(BaseModel):
    """Base of all options: immutable, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
