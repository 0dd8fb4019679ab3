# Every target does its own set-up with nothing but Python 3.11 or newer, make and git.
# The first interpreter that runs and is new enough (a name on the PATH alone proves neither).
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python3.14; do \
  "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help run test check format bench soak clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: $(STAMP)  ## start the developers' edition (passband dev)
	@$(BIN)/passband dev

test: check  ## lint, types and all tests
	$(BIN)/python -m pytest -n auto --dist worksteal

check: $(STAMP)  ## lint and types only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)  ## put the code into its format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## the whole path under load on this machine, as a table
	$(BIN)/passband bench

soak: $(STAMP)  ## hundreds of kill -9 under load, with an outside ledger
	$(BIN)/python -m pytest -n 0 -s -v -m soak tests

clean:  ## remove what the other targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(STAMP): pyproject.toml requirements-dev.txt
	@test -n "$(PYTHON)" || \
	  { echo "Passband needs Python 3.11 or newer and found none. Name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3"; exit 2; }
	@echo "setting up $(VENV) (once; about half a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
