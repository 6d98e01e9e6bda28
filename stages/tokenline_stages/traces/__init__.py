"""The provider trace: one record of every call, on every exit, in files and databases.

```python
from tokenline_stages import connect

async with connect("openai", traces="traces.db") as connection:
    ...
```

`record` is the format; `options` what is kept; `store` takes runs on the caller's event loop,
where `taking` notes them; `making` and `cleaning` make records, in the thread of `worker`; `sink`
is what all sinks are, `sink_actor` what runs one: `jsonl`, `sql`, `callback`. `reading` reads
records back.
"""

from .callback import CallbackSink as CallbackSink
from .callback import MemorySink as MemorySink
from .filters import TraceFilter as TraceFilter
from .jsonl import JsonlSink as JsonlSink
from .opening import Target as Target
from .opening import open_reader as open_reader
from .opening import traces as traces
from .options import TraceOptions as TraceOptions
from .reading import TraceReader as TraceReader
from .record import Trace as Trace
from .record import TraceRecord as TraceRecord
from .record import decode_record as decode_record
from .sink import TraceSink as TraceSink
from .sink import TracesRejectedError as TracesRejectedError
from .sink_actor import SinkStats as SinkStats
from .sql import SqlSink as SqlSink
from .store import TraceStats as TraceStats
from .store import TraceStore as TraceStore
