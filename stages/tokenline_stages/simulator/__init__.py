"""A simulated provider: real HTTP on loopback, planned content and times, a ledger of both.

    plan → answer → frames (apis/) → send times (schedule) → faults (alteration)
         → transmission → socket (sender) → ledger

It shares no code with the parsers and normalizers that it is used to check.
"""

from .cassette import CassetteHead as CassetteHead
from .cassette import CassetteWriter as CassetteWriter
from .cassette import RecordedRequest as RecordedRequest
from .cassette import RecordingError as RecordingError
from .cassette import read_cassette as read_cassette
from .chaos import chaos_mix as chaos_mix
from .distributions import Bimodal as Bimodal
from .distributions import LogNormal as LogNormal
from .distributions import Pareto as Pareto
from .distributions import Uniform as Uniform
from .ledger import Entry as Entry
from .ledger import Ledger as Ledger
from .plan import Plan as Plan
from .plan import PlanMix as PlanMix
from .plan import ToolCall as ToolCall
from .plan import read_plan as read_plan
from .process import SimulatorProcess as SimulatorProcess
from .simulator import Simulator as Simulator
