"""A database server for the tests of this folder."""

from collections.abc import Iterator

import pytest

from .postgresql import PostgreSQL, find_binary


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A running server; skips the test where PostgreSQL is not installed."""
    if find_binary("initdb") is None or find_binary("pg_ctl") is None:
        pytest.skip("no initdb and pg_ctl on this machine (Debian: apt-get install postgresql)")
    with PostgreSQL() as server:
        yield server
