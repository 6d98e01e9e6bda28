"""Outside text on a terminal: what a server, a file or an option says is shown, never obeyed.

rich reads words in square brackets as markup, and terminals obey control characters.
"""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text


def plain(text: str, style: str = "") -> Text:
    """The text as it is; characters that cannot be printed as question marks."""
    return Text(printable(text), style=style)


def printable(text: str) -> str:
    """The text with a question mark for everything that a terminal might obey."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


class PlainTable(Table):
    """A table whose title, headings and cells are plain text."""

    def __init__(self, title: str = "", **options: Any) -> None:
        heading = plain(title, "table.title") if title else None
        super().__init__(title=heading, **options)

    def add_heading(self, heading: str, **options: Any) -> None:
        """A column."""
        self.add_column(plain(heading), **options)

    def add_cells(self, *cells: str) -> None:
        """A row."""
        self.add_row(*map(plain, cells))
