"""`python -m tokenline_stages.simulator`: the command `tokenline serve`."""

from .command import serve

serve(prog_name="tokenline serve")
