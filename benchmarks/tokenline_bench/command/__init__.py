"""The command `tokenline bench`."""

from .group import command as command
