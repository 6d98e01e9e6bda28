"""`python -m tokenline_command`."""

from . import main

main()
