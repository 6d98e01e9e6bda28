"""Function calls of one candidate: whole ones, and those that Vertex AI streams."""

from msgspec import Raw

from tokenline.errors import LimitExceededError, MalformedStreamError
from tokenline.events import ReasoningSignature, ToolCallDelta, ToolCallEnd, ToolCallStart, ToolKind
from tokenline.options import Limits
from tokenline_stages.emission import Emission

from .partial_args import PartialArguments
from .wire import FunctionCall


class Calls:
    """Emits the calls of one candidate.

    A call without an id gets one made of the message id and its part, the same however the
    response was cut. Its arguments are the JSON text as sent; none if they are null or missing.

    Attributes:
        count: how many calls have begun.
        last_part: part of the latest call.
    """

    __slots__ = (
        "_arguments",
        "_choice",
        "_emission",
        "_id",
        "_limits",
        "_name",
        "count",
        "last_part",
    )

    def __init__(self, emission: Emission, limits: Limits, choice: int) -> None:
        self._emission = emission
        self._limits = limits
        self._choice = choice
        self._id = ""
        self._name = ""
        self._arguments: PartialArguments | None = None
        self.count = 0
        self.last_part = -1

    def add(self, call: FunctionCall, signature: str | None) -> None:
        """Emit a whole call, or take in what is new of a streamed one.

        Raises:
            MalformedStreamError: arguments that cannot be read.
            LimitExceededError: arguments beyond `max_arguments_bytes`.
        """
        if self._arguments is not None and call.name and call.name != self._name:
            self.break_off()
        if self._arguments is None:
            self._start(call)
        if signature:
            self._emission.emit(ReasoningSignature, self.last_part, signature, self._choice)
        if self._arguments is None and not (call.will_continue or call.partial_args):
            self._send(self._read(call.args))
            self._end(complete=True)
        else:
            self._extend(call)

    def break_off(self) -> None:
        """End a streamed call that was cut; what had come of its arguments is sent."""
        if self._arguments is not None:
            self._send(self._arguments.text())
            self._end(complete=False)

    def _start(self, call: FunctionCall) -> None:
        emission = self._emission
        part = emission.new_part()
        self._id = call.id or f"call_{emission.message_id}_{part}"
        self._name = call.name or ""
        self.last_part = part
        self.count += 1
        emission.emit(ToolCallStart, part, self._id, self._name, ToolKind.FUNCTION, self._choice)

    def _extend(self, call: FunctionCall) -> None:
        arguments = self._arguments
        if arguments is None:
            arguments = self._arguments = PartialArguments(self._limits)
        if call.partial_args:
            arguments.add(bytes(call.partial_args))
        if not call.will_continue:
            self._send(self._read(call.args) or arguments.text())
            self._end(complete=True)

    def _read(self, args: Raw) -> str:
        data = bytes(args)
        if data == b"null":
            return ""
        if len(data) > self._limits.max_arguments_bytes:
            raise LimitExceededError(
                "arguments of one tool call are too large; raise Limits.max_arguments_bytes",
                limit="max_arguments_bytes",
            )
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise MalformedStreamError(f"arguments of a call are not UTF-8: {error}") from error

    def _send(self, arguments: str) -> None:
        if arguments:
            self._emission.emit(
                ToolCallDelta, self.last_part, self._id, self._name, arguments, self._choice
            )

    def _end(self, *, complete: bool) -> None:
        self._arguments = None
        self._emission.emit(
            ToolCallEnd, self.last_part, self._id, self._name, complete, self._choice
        )
