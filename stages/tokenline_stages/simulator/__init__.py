"""A simulated provider: real HTTP on loopback, planned content and times, a ledger of both.

    plan → answer → frames (apis/) → timed writes (schedule) → faults (alteration)
         → transmission → socket (sender) → ledger

It shares no code with the parsers and normalizers it is used to check.
"""

from .distributions import Bimodal as Bimodal
from .distributions import LogNormal as LogNormal
from .distributions import Pareto as Pareto
from .distributions import Uniform as Uniform
from .ledger import Entry as Entry
from .ledger import Ledger as Ledger
from .plan import Plan as Plan
from .plan import PlanMix as PlanMix
from .plan import ToolCall as ToolCall
from .process import SimulatorProcess as SimulatorProcess
from .simulator import Simulator as Simulator
