"""What users see when a stream goes wrong: the same faults through tokenline and its peers.

    python -m benchmarks.behaviour [--folder PATH] [--only NAME] [--json FILE] [--markdown FILE]

Each client streams from the simulator as its own documentation shows it, in a process and a
virtual environment of its own, which is made on first use. The simulator's ledger says what was
sent and when the client let go of the connection; the client's process says what its user saw.
Every step is bounded: a client that does not come back is killed and noted as such.
"""
