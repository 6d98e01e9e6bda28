"""Load generators side by side: tokenline bench, NVIDIA AIPerf and GuideLLM."""

from .aiperf import AIPerf as AIPerf
from .contract import Figures as Figures
from .contract import Job as Job
from .contract import LoadTool as LoadTool
from .cores import SERVERS_CORE as SERVERS_CORE
from .cores import TOOLS_CORE as TOOLS_CORE
from .cores import on_core as on_core
from .cores import simulator_apart as simulator_apart
from .guidellm import GuideLLM as GuideLLM
from .ours import TokenlineBench as TokenlineBench
