# Everything runs from .venv, which is made from requirements-dev.lock the first time and again when that changes.
# Needs: python3 (3.11 or newer) with its venv module, and a package registry. uv comes out of the lock as well.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# The tests of a file stay together, as they share servers, and the long ones (chaos) come first; JOBS=1 for one after the other.
JOBS ?= 2
PARALLEL = $(if $(filter-out 0 1,$(JOBS)),-n $(JOBS) --dist loadfile --no-loadscope-reorder)
FAST := not slow and not chaos and not browser and not real
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)

# uv trusts its own certificates unless told to use the system's, as pip does.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
export UV_SYSTEM_CERTS ?= 1
endif
export UV_LINK_MODE ?= copy

.PHONY: help
help: ## List what make can do
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

.PHONY: venv
venv: $(STAMP) ## Make or refresh .venv from the lock

$(STAMP): requirements-dev.lock
	@echo "Installing into .venv what requirements-dev.lock names (once) ..."
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Tocsin needs Python 3.11 or newer: make PYTHON=python3.11")'
	@$(PYTHON) -m venv .venv
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.lock > .venv/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.lock
	@# uv takes seconds; pip, a minute, but it knows the mirrors and proxies that only pip is configured for
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements-dev.lock \
		|| { echo "uv could not; trying with pip ..."; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: demo
demo: $(STAMP) ## Play an incident from alert to post-mortem on this machine (AUTO=1: without you)
	@$(BIN)/tocsin demo $(if $(filter-out 0,$(AUTO)),--auto)

.PHONY: test
test: $(STAMP) ## Run the fast tests (ARGS="-k word" to choose)
	@$(BIN)/python -m pytest $(PARALLEL) -m "$(FAST)" $(ARGS)

.PHONY: test-all
test-all: $(STAMP) ## Run every test: also slow, chaos, browser, real
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

.PHONY: check
check: $(STAMP) ## Lint, formatting, types, import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

.PHONY: fmt
fmt: $(STAMP) ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: docs
docs: $(STAMP) ## Write the generated part of the documentation
	@$(BIN)/tocsin runbook reference > docs/runbook-reference.md

.PHONY: bench
bench: $(STAMP) ## Measure: alerts per second, page latency, recovery
	@$(BIN)/python bench/run.py $(ARGS)

.PHONY: lock
lock: $(STAMP) ## Write the lock files anew from pyproject.toml (UPGRADE=1: newest versions)
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) --extra dev --constraint requirements.lock pyproject.toml -o requirements-dev.lock
	@! grep -nE '://|^-' requirements.lock requirements-dev.lock || { echo "an address got into a lock file" >&2; exit 1; }
