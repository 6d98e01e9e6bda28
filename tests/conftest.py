"""Fixtures for the whole suite."""

import os
from pathlib import Path

import pytest


def find_corpus() -> Path | None:
    """The folder of recordings beside the checkout, or None."""
    configured = os.environ.get("TOKENLINE_CORPUS")
    folder = (
        Path(configured)
        if configured
        else Path(__file__).resolve().parents[2] / "shared" / "corpus"
    )
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def corpus_dir() -> Path:
    """The folder of recordings; skips the test where there is none."""
    folder = find_corpus()
    if folder is None:
        pytest.skip("no recordings beside the checkout (set TOKENLINE_CORPUS)")
    return folder


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio."""
    return "asyncio"
