# SPDX-License-Identifier: Apache-2.0
.DEFAULT_GOAL := help
.PHONY: help demo serve test check bench chaos large test-postgresql lock clean

PYTHON ?= python3
BIN := .venv/bin

help: ## List every command
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

.venv/.run: requirements/run.txt pyproject.toml
	@sh requirements/install.sh $(PYTHON) run

.venv/.dev: requirements/dev.txt pyproject.toml
	@sh requirements/install.sh $(PYTHON) dev

demo: .venv/.run ## Set everything up and let a disability-employment proof cross from department to department
	@$(BIN)/heliograph demo

serve: .venv/.run ## Keep the hub of the demonstration running, with its departments
	@$(BIN)/heliograph demo --serve

test: .venv/.dev ## Run the tests
	@$(BIN)/python -m pytest -n auto

check: .venv/.dev ## Check format, lint, types and import order, then run the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory test

large: .venv/.dev ## Send 2 GiB through hub and gateway over a network that cuts, 1 GiB over SFTP, and measure memory
	HELIOGRAPH_LARGE_BYTES=2147483648 $(BIN)/python -m pytest -q -n 0 -s tests/journeys/test_large_processes.py
	HELIOGRAPH_SFTP_BYTES=1073741824 $(BIN)/python -m pytest -q -n 0 -s tests/adapters/sftp/test_transfers.py

test-postgresql: .venv/.dev ## Run the journeys and the portal with PostgreSQL in place of SQLite
	HELIOGRAPH_TEST_DATABASE=postgresql $(BIN)/python -m pytest -n 2 tests/journeys tests/hub/portal

bench: .venv/.dev ## Measure speed against openssl on this machine
	@$(BIN)/python -m tests.bench

chaos: .venv/.dev ## Kill and pause everything at random for five minutes, under load (SEED=1)
	@$(BIN)/python -m tests.chaos --seed $(or $(SEED),1)

lock: ## Resolve the dependencies again and write the lock files
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
		pyproject.toml --extra demo -o requirements/run.txt
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
		pyproject.toml --extra demo --extra dev -c requirements/run.txt -o requirements/dev.txt

clean: ## Remove what the commands made
	rm -rf .venv var build dist *.egg-info
