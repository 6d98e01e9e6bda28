"""The command line; `tokenline --help` lists its commands."""

from .app import main as main
