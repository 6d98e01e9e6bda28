"""Public test doubles and checks for stages and pipelines; no mocks, no sleeping.

- `check_stage`, `StageSuite`: whether a stage of your own keeps the rules of all stages;
- `ScriptedSource`: a provider that plays a script;
- `run_virtual`: a loop on which hours pass in milliseconds;
- `Probe`: a reader that takes events only when told to; `Recorder`: a branch that keeps them.
"""

from .loop import StuckError as StuckError
from .loop import VirtualLoop as VirtualLoop
from .loop import run_virtual as run_virtual
from .loop import settle as settle
from .loop import virtual_clock as virtual_clock
from .probe import Probe as Probe
from .recorder import Recorder as Recorder
from .rule import Rule as Rule
from .rule import RuleBrokenError as RuleBrokenError
from .source import Pause as Pause
from .source import ScriptedSource as ScriptedSource
from .source import ScriptedStream as ScriptedStream
from .source import Wait as Wait
from .stage_case import Sample as Sample
from .stage_case import StageCase as StageCase
from .stage_rules import STAGE_RULES as STAGE_RULES
from .stage_rules import StageSuite as StageSuite
from .stage_rules import check_stage as check_stage
from .stage_rules import find_broken_rules as find_broken_rules
