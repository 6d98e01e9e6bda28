"""Room for as many connections as the system lets a process have; standard library only."""

from __future__ import annotations

import resource


def allow_all() -> None:
    """Raise the soft limit of open files, often 1,024, to the hard one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
