"""The report as one HTML file: everything inside, it opens from disk and needs no network."""

from .page import write_html as write_html
