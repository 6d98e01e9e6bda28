"""Conformance: recorded responses read whole, cut anywhere and over HTTP, beside what they hold.

```python
import pytest
from tokenline_stages.conformance import check_recording, recordings

@pytest.mark.parametrize("recording", recordings("tests/recordings"), ids=str)
def test_recording(recording):
    assert check_recording(recording) == []
```

A recording is three files: `NAME.json` (what it is), the raw body that it names, and
`NAME.expected.json` (what it holds). `recording` describes them.
"""

from .check import FULL as FULL
from .check import QUICK as QUICK
from .check import Depth as Depth
from .check import check_recording as check_recording
from .expectation import Failure as Failure
from .recording import Recording as Recording
from .recording import recordings as recordings
