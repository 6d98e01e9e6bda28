import time
from collections.abc import Callable

import pytest

Growth = Callable[[Callable[[int], object], int], float]


@pytest.fixture
def growth() -> Growth:
    """Measures how CPU time grows when the input becomes four times as large.

    About 4 if linear, 16 if quadratic. The least of several rounds: a busy machine only adds.
    """

    def measure(run: Callable[[int], object], size: int) -> float:
        def seconds(size: int) -> float:
            begin = time.process_time()
            run(size)
            return time.process_time() - begin

        return min(seconds(4 * size) / seconds(size) for _ in range(5))

    return measure
