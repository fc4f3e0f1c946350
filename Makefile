# Everything a newcomer needs: make run, make test. Everything a developer needs: make check, make bench, make chaos.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
EXTRAS := test,lint,distributed,engines

PORT ?= 8080
DATA_DIR ?= ./data

.PHONY: run test check bench chaos clean

run: $(VENV)/.run
	@PORT=$(PORT) DATA_DIR=$(DATA_DIR) exec $(BIN)/factline serve

test: $(VENV)/.dev
	$(BIN)/pytest

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports --no-logo

bench: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks

chaos: $(VENV)/.dev
	$(BIN)/python -m tests.chaos

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("factline needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@ $(VENV)/.run

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .hypothesis .import_linter_cache
