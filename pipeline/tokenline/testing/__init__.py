"""Public test doubles and checks for stages and pipelines; no mocks, no sleeping."""

from .source import Pause as Pause
from .source import ScriptedSource as ScriptedSource
from .source import ScriptedStream as ScriptedStream
