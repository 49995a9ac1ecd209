# `make run` and `make test` need Python 3.11 or later, git and make; everything else is set up in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH ?= torch==2.13.0
EXAMPLE := A shop sells pens at 3 for 2 dollars. How many dollars do 18 pens cost, and what is the change from 20?

.PHONY: run test test-sft check examples format bench clean

run: $(VENV)/model  ## solve a problem with the model in the box, the trace live
	@$(BIN)/scale solve --model smollm2 "$(EXAMPLE)" || test $$? -eq 1

test: $(VENV)/dev $(VENV)/model  ## every test that needs no other service
	$(BIN)/pytest -m 'not sft'

test-sft: $(VENV)/dev $(VENV)/model $(VENV)/sft  ## the tests that train and load checkpoints
	$(BIN)/pytest -m sft

check: $(VENV)/dev  ## lint, format, types, directions of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports

examples: $(VENV)/model  ## the programs of examples/, on the model in the box
	for program in examples/*.py; do $(BIN)/python $$program || exit 1; done

format: $(VENV)/dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/dev  ## ratios within one run; see benchmarks/
	$(BIN)/python benchmarks/http_clients.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/grading.py

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "no venv module: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

$(VENV)/local: $(VENV)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[local]'
	@touch $@

$(VENV)/dev: $(VENV)/local
	$(BIN)/python -m pip install --quiet --editable '.[local,plots,data]' --group dev
	@touch $@

$(VENV)/sft: $(VENV)/dev
	$(BIN)/python -m pip install --quiet '$(TORCH)' --editable '.[sft]'
	@touch $@

$(VENV)/model: $(VENV)/local
	$(BIN)/scale fetch
	@touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
