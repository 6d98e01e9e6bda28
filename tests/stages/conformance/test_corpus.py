"""Every recording of the corpus, if there is one: whole, cut, and over HTTP."""

import asyncio

import pytest
from tests.conftest import find_corpus

from tokenline_stages.conformance import QUICK, Failure, recordings
from tokenline_stages.conformance.run import check_all

FOLDER = find_corpus()
FOUND = recordings(FOLDER) if FOLDER is not None else []

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not FOUND, reason="no recordings beside the checkout (TOKENLINE_CORPUS)"),
]


@pytest.fixture(scope="module")
def failures() -> dict[str, list[Failure]]:
    """Failures by recording; one simulator plays them all."""
    reports = asyncio.run(check_all(FOUND, QUICK))
    return {report.recording: report.failures for report in reports}


@pytest.mark.parametrize("name", [recording.name for recording in FOUND])
def test_recording(name: str, failures: dict[str, list[Failure]]) -> None:
    assert failures[name] == []
