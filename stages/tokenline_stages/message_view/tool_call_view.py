"""What a tool call is shown as: a call, a request for approval, or the assistant's own words."""

from tokenline.events import ToolCallDelta, ToolCallEnd, ToolCallStart, ToolKind
from tokenline.json_args import pair_surrogates

from .argument_split import ArgumentSplitter
from .messages import (
    ApprovalRequestMessage,
    AssistantMessage,
    ReasoningMessage,
    ToolCallFragment,
    ToolCallMessage,
)
from .options import MessageViewOptions
from .parts import PartView
from .writer import Slice, Writer


class ToolCallView(PartView):
    """A tool call whose arguments are shown as they come.

    Attributes:
        name: name of the tool.
        tool_call_id: id of the call.
        needs_approval: whether it is shown as a request for approval.
        complete: whether the call came to its end.
        problem: what is wrong with arguments from which some were to be taken out.
    """

    __slots__ = (
        "_kind",
        "_options",
        "_otid",
        "_part",
        "_pieces",
        "_shown",
        "complete",
        "name",
        "needs_approval",
        "tool_call_id",
    )

    def __init__(
        self, writer: Writer, call: ToolCallStart, options: MessageViewOptions, needs_approval: bool
    ) -> None:
        super().__init__(writer)
        self.name = pair_surrogates(call.name)
        self.tool_call_id = pair_surrogates(call.tool_call_id)
        self.needs_approval = needs_approval
        self.complete = False
        self._options = options
        self._part = call.part
        self._kind = call.kind
        self._otid = writer.otid(call.part)
        self._shown = False
        self._pieces: list[str] = []

    @property
    def problem(self) -> str | None:
        """What is wrong with arguments from which some were to be taken out."""
        return None

    @property
    def arguments(self) -> str:
        """The arguments that a request for approval has shown."""
        return "".join(self._pieces)

    def start(self) -> None:
        """Show that the call begins."""
        self._write("")

    def add(self, text: str) -> None:
        """Show a fragment of the arguments."""
        text = self._characters.join(text)
        if text:
            self._show(text)

    def end(self, complete: bool) -> None:
        """Show the end of the call; one without arguments gets an empty object."""
        self.add(self._characters.rest())
        self.complete = complete
        if complete and not self._shown and self._kind is not ToolKind.CUSTOM:
            self._show("{}", complete)
        else:
            self._write("", complete)

    def _show(self, arguments: str, complete: bool | None = None) -> None:
        self._shown = True
        if self.needs_approval:
            self._pieces.append(arguments)
        self._write(arguments, complete)

    def _write(self, arguments: str, complete: bool | None = None) -> None:
        fragment = ToolCallFragment(self.name, arguments, self.tool_call_id)
        self._writer.write(
            ApprovalRequestMessage if self.needs_approval else ToolCallMessage,
            self._otid,
            tool_call=fragment,
            tool_calls=fragment if self._options.repeat_tool_calls else None,
            complete=complete,
            tool_kind=self._kind.value,
        )


class SplitCallView(ToolCallView):
    """A tool call some of whose arguments are shown as reasoning, or as the assistant's words.

    Its first message comes with the first of the arguments that are left. A call that speaks is
    not shown as a call, unless it ends without having said anything.
    """

    __slots__ = ("_silent", "_speaks", "_splitter")

    def __init__(
        self,
        writer: Writer,
        call: ToolCallStart,
        options: MessageViewOptions,
        needs_approval: bool,
        speaks: bool,
    ) -> None:
        super().__init__(writer, call, options, needs_approval)
        keys = {options.inner_thoughts_key, options.assistant_key if speaks else None}
        self._splitter = ArgumentSplitter([key for key in keys if key is not None])
        self._speaks = speaks
        # What is left of a call that is to speak, in case it never does.
        self._silent: list[str] = []

    @property
    def problem(self) -> str | None:
        """What is wrong with arguments from which some were to be taken out."""
        return self._splitter.problem

    def start(self) -> None:
        """Wait for the first of the arguments."""

    def add(self, text: str) -> None:
        """Show a fragment of the arguments."""
        for key, piece in self._splitter.feed(self._characters.join(text)):
            self._give(key, piece)

    def end(self, complete: bool) -> None:
        """Show the end of the call."""
        self.add(self._characters.rest())
        for key, piece in self._splitter.finish():
            self._give(key, piece)
        self.complete = complete
        if self._has_spoken:
            return
        self._speaks = False
        if self._silent:
            self._show("".join(self._silent))
        super().end(complete)

    @property
    def _has_spoken(self) -> bool:
        return self._speaks and self._options.assistant_key in self._splitter.found

    def _give(self, key: str | None, text: str) -> None:
        writer = self._writer
        if key is None:
            if not self._speaks:
                self._show(text)
            elif not self._has_spoken:
                self._silent.append(text)
        elif key == self._options.inner_thoughts_key:
            otid = writer.otid(self._part, Slice.THOUGHTS)
            writer.write(ReasoningMessage, otid, reasoning=text, source="non_reasoner_model")
        else:
            writer.write(AssistantMessage, writer.otid(self._part, Slice.SPEECH), content=text)


def view_call(
    writer: Writer, event: ToolCallStart | ToolCallDelta | ToolCallEnd, options: MessageViewOptions
) -> ToolCallView:
    """The view of a call; of one whose start was missed, made of what its other events tell."""
    if not isinstance(event, ToolCallStart):
        stamp = (event.seq, event.recv_ns, event.message_id)
        event = ToolCallStart(*stamp, event.part, event.tool_call_id, event.name)
    is_own = event.kind is not ToolKind.SERVER
    is_function = event.kind is ToolKind.FUNCTION
    needs_approval = is_own and options.requires_approval(event.name)
    speaks = is_function and not needs_approval and options.speaks(event.name)
    view: ToolCallView
    if speaks or (is_function and options.inner_thoughts_key is not None):
        view = SplitCallView(writer, event, options, needs_approval, speaks)
    else:
        view = ToolCallView(writer, event, options, needs_approval)
    view.start()
    return view
