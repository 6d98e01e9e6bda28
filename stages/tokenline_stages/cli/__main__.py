"""`python -m tokenline_stages.cli`."""

from .app import main

main()
