"""The parts of the pipeline one by one, fed from memory: no network, no waiting.

python -m benchmarks.micro                    times, by pytest-benchmark
python -m benchmarks.micro --instructions     instructions, by valgrind
"""
