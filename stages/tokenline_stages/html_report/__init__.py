"""One HTML page from trace records: opens from disk, asks no network, needs no back-end.

Charts are drawn by plotly (extra `tokenline[report]`), whose script stands in the page: 5 MB.
The page shows times, names and ids, no content.
"""

from .page import page as page
from .page import write_report as write_report
