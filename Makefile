# The commands of this project; `make` alone lists them.
SHELL := bash
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python -m
PACKAGES := unibus unibus_memory unibus_rabbitmq unibus_contract unibus_bench
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help venv check test docs clean

help:  ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

venv: $(STAMP)  ## Make .venv and install unibus in it with everything the checks need

$(STAMP): pyproject.toml
	@echo "== venv: $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "unibus needs Python 3.11 or newer; run: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(RUN) pip install --quiet --upgrade "pip>=25.1"
	@$(RUN) pip install --quiet --group dev --editable ".[all,bench]"
	@touch $@

check: venv  ## Lint, types, import rules and tests without a broker: the everyday loop
	@echo "== format and lint"; $(RUN) ruff format --check --quiet . && $(RUN) ruff check --quiet .
	@echo "== types"; MYPYPATH=adapters:contract_tests:benchmarks $(RUN) mypy $(addprefix -p ,$(PACKAGES))
	@echo "== import rules"; $(VENV)/bin/lint-imports --no-logo --no-cache
	@echo "== tests"; $(RUN) pytest -q tests

test: check  ## Everything, on every broker that is supported so far

docs: venv  ## Build the documentation as a site in reports/site; every link and name has to be right
	@$(RUN) pip install --quiet --group docs
	@NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --quiet --strict

clean:  ## Remove what the other targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build reports
