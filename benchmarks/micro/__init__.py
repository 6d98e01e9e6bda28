"""The parts of the pipeline one by one, fed from memory; requests through a socket of this machine.

python -m benchmarks.micro                    times, by pytest-benchmark
python -m benchmarks.micro --instructions     instructions, by valgrind
"""
