"""The command line: `tokenline demo | chat | graph | serve`."""

from .app import main as main
