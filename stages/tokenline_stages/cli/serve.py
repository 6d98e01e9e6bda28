"""`tokenline serve`: the provider simulator."""

from tokenline_stages.simulator.command import serve as command

__all__ = ["command"]
