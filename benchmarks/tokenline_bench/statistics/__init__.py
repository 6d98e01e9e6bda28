"""Percentiles with intervals, and what two runs differ by. Needs numpy."""

from .compare import Change as Change
from .compare import change as change
from .distribution import Distribution as Distribution
from .distribution import OwnShare as OwnShare
from .distribution import Percentile as Percentile
from .distribution import describe as describe
from .pooled import describe_pooled as describe_pooled
from .shares import wilson_interval as wilson_interval
