"""A lean server beside the simulator, for loads that the simulator's own cost would limit.

The answers are the simulator's, byte by byte; plans, headers and the ledger's address are too.
What it leaves out: faults, keys, recordings, whole answers.
"""

from .process import SenderProcess

__all__ = ["SenderProcess"]
