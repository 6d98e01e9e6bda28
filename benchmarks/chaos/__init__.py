"""Thousands of streams through everything that can go wrong; each must end as it should.

    python -m benchmarks.chaos [--streams 2000] [--concurrent 200] [--seed 0] [--passes 2]

A simulator in a process of its own answers with a seeded mix of all its faults, over several
wire APIs, with SDKs and without; some readers leave early or cancel. Its ledger, asked for each
request afterwards, is the oracle: what was sent, and what was done to it. Checked for every run:

- it ended in time, with the outcome and the type of error that belong to its fault;
- its text is what was sent, up to the fault, and its reader got that text;
- it left exactly one trace record and one root span, of the same outcome;

and after each pass: no task, no socket and no file descriptor beyond those before, no request that
is still open at the server; resident memory after the last pass is that after the first, within
5 %, and so is the number of blocks that Python has allocated, within 1 %. One more pass comes
before them all, to load what is loaded once and to let the allocator find its size.
"""
