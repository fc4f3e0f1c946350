# Everything a newcomer needs: make run, make test. Everything a developer needs: REQUIRE_ENGINES=1 make test, make check,
# make bench, make chaos.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
EXTRAS := test,lint,distributed,engines
TESTED_WITH := $(if $(filter 1,$(REQUIRE_ENGINES)),.dev,.test)

PORT ?= 8080
DATA_DIR ?= ./data

.PHONY: run test check page pictures bench chaos clean

run: $(VENV)/.run
	@PORT=$(PORT) DATA_DIR=$(DATA_DIR) exec $(BIN)/factline serve

# a file of tests is one worker's; those that begin with long ones come first
test: $(VENV)/$(TESTED_WITH)
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m tests.page_build --check

# the web page, read_api/page, from its source in page/; needs Node 20.19 or newer
page: $(VENV)/.dev
	$(BIN)/python -m tests.page_build

# every room of the page in docs/pictures; needs chromium and chromium-driver
pictures: $(VENV)/.dev
	$(BIN)/python -m tests.pictures

bench: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks

chaos: $(VENV)/.dev
	$(BIN)/python -m tests.chaos

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("factline needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@echo "First, once: a Python environment in $(VENV) (seconds), and what factline needs into it (350 MB, 2 to 5 minutes)."
	@$(PYTHON) -m venv $(VENV)

# without --quiet: pip says how far it is
define install
@echo "Installing into $(VENV): factline$(1)"
@$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.$(1)'
@touch $@
endef

$(VENV)/.run: $(VENV)/bin/python pyproject.toml constraints.txt
	$(call install,)

$(VENV)/.test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(call install,[test])
	@touch $(VENV)/.run

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(call install,[$(EXTRAS)])
	@touch $(VENV)/.run $(VENV)/.test

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .hypothesis .import_linter_cache
