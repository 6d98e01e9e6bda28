"""Public test doubles and checks for stages and pipelines; no mocks, no sleeping."""

from .loop import VirtualLoop as VirtualLoop
from .loop import run_virtual as run_virtual
from .loop import virtual_clock as virtual_clock
from .source import Pause as Pause
from .source import ScriptedSource as ScriptedSource
from .source import ScriptedStream as ScriptedStream
from .source import Wait as Wait
