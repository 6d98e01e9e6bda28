"""Percentiles with intervals, and what two runs differ by. Needs numpy."""

from .compare import Change as Change
from .compare import change as change
from .compare import statistic_of as statistic_of
from .compare import values_to_compare as values_to_compare
from .distribution import Distribution as Distribution
from .distribution import OwnShare as OwnShare
from .distribution import Percentile as Percentile
from .distribution import describe as describe
from .pooled import describe_pooled as describe_pooled
from .shares import difference_interval as difference_interval
from .shares import wilson_interval as wilson_interval
