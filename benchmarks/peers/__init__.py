"""tokenline beside its peers and the floor: every row of the table in docs/performance.md.

Each client runs in an environment and a process of its own:
`python -m benchmarks.peers --help`.
"""
