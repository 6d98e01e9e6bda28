# `make demo` shows the pipeline at work, `make test` proves it. Both set everything up in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types check bench bench-micro bench-peers gate clean

help:
	@echo "make demo    stream from a simulated provider and see the TTFT breakdown"
	@echo "make test    run the tests"
	@echo "make check   lint, types and tests"
	@echo "make bench   CPU per event beside the floor and the openai SDK"
	@echo "make gate    has any part become slower than benchmarks/gate.json says?"
	@echo "make bench-micro   the parts of the pipeline one by one"
	@echo "make bench-peers   everything beside all peers, each in its own environment; 20 minutes"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("tokenline needs Python 3.11 or newer, this is %d.%d; set PYTHON=..." % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --group dev --editable .
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/tokenline demo

test: $(STAMP)
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy
	$(BIN)/pyright

check: lint types test

bench: $(STAMP)
	$(BIN)/python -m benchmarks.cost

gate: $(STAMP)
	$(BIN)/python -m benchmarks.gate

bench-micro: $(STAMP)
	$(BIN)/python -m benchmarks.micro $(ARGS)

bench-peers: $(STAMP)
	$(BIN)/python -m benchmarks.peers $(ARGS)

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .hypothesis
