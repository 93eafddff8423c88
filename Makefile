# `make` alone lists the targets.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help install run test check format schema lock

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Bistro92 needs Python 3.11 or newer; name one with: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
		|| { [ "$$(id -u)" = 0 ] && apt-get update -q && apt-get install -q -y python3-venv; } \
		|| { echo "Python's venv module is missing; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check -c requirements.lock -e .
	@touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install -q --disable-pip-version-check -c requirements.lock -e '.[dev]'
	@touch $@

install: .venv/installed-dev ## Install everything into .venv, development tools included

run: .venv/installed ## Serve on an embedded database (bistro92.db in this folder)
	@exec $(BIN)/python app.py

test: .venv/installed-dev ## Run every test
	@command -v curl >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -q && apt-get install -q -y curl; } \
		|| { echo "The README's commands are tested with curl, which is missing."; exit 1; }
	$(BIN)/python -m pytest

check: .venv/installed-dev ## Check formatting, lint, types, layers and the committed schema
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m schema.sdl --check

format: .venv/installed-dev ## Format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: .venv/installed ## Write schema.graphql
	$(BIN)/python -m schema.sdl

lock: .venv/installed-dev ## Upgrade requirements.lock to the newest versions that pyproject.toml allows
	rm -rf .venv/lock && $(PYTHON) -m venv .venv/lock
	.venv/lock/bin/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	.venv/lock/bin/python -m pip freeze --exclude-editable > requirements.lock
	rm -rf .venv/lock
