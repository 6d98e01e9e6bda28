"""A forked child can export what it has left, whatever the version of Python."""

import os

import pytest

from tests.pipeline.telemetry.conftest import Collector
from tokenline.telemetry import configure


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_need_not_start_threads_at_its_end(collector: Collector) -> None:
    """From Python 3.12 on it could not."""
    telemetry = configure(endpoint=collector.endpoint)
    child = os.fork()
    if child == 0:
        threads = [outlet.thread._thread for outlet in telemetry._own]
        os._exit(sum(thread is None or not thread.is_alive() for thread in threads))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert telemetry.shutdown(5.0)
