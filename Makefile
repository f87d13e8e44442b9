# The contributor's menu. CI calls only targets of this file.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
ARGS ?=
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-all web demo test test-all screenshots check bench golden docs lock clean

help: ## Show this menu
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(VENV)/.ready web ## Put everything that is needed into .venv

$(VENV)/.ready: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Reentra needs Python 3.11 or newer; say PYTHON=/path/to/python3 make setup"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

web: src/reentra/web/static/assets.json ## Build the pages' script, style and icons

src/reentra/web/static/assets.json: frontend/node_modules/.ready frontend/build.mjs \
		frontend/icons.txt $(wildcard frontend/scripts/* frontend/styles/*)
	@cd frontend && node build.mjs

frontend/node_modules/.ready: frontend/package.json frontend/package-lock.json
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || \
		{ echo "Reentra's pages are built with Node.js 20 or newer"; exit 1; }
	@cd frontend && npm ci --silent
	@touch $@

setup-all: setup $(VENV)/.ready-all build/azurite/.ready ## Also what the server tests need
	@tools/install-servers

$(VENV)/.ready-all: requirements/all.txt $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/all.txt
	@touch $@

build/azurite/.ready: tools/azurite/package.json tools/azurite/package-lock.json
	@mkdir -p build/azurite
	cp tools/azurite/package.json tools/azurite/package-lock.json tools/azurite/.npmrc build/azurite/
	cd build/azurite && npm ci --silent
	@touch $@

demo: setup ## Back up, break, compare, restore and prove it, on a sandbox tenant, then serve the pages
	$(BIN)/reentra demo $(ARGS)

test: setup ## The tests that need no server and no browser
	$(BIN)/pytest -n $(WORKERS) -m "not slow and not server and not browser" $(ARGS)

test-all: setup-all ## All tests
	tools/with-postgres $(BIN)/pytest -n $(WORKERS) -m "not browser" $(ARGS)
	@# Playwright keeps an event loop running in its process, which others there do not expect.
	$(BIN)/pytest -n $(WORKERS) tests/browser

screenshots: setup $(VENV)/.ready-all ## Pictures of every page and dialog (needs Chromium)
	$(BIN)/python -m tests.browser.screenshots $(ARGS)

check: setup ## Style, types, architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_docs.py
	$(BIN)/python tools/write_docs.py --check

bench: setup web ## Speed and memory, in one run (SIZE=small takes a minute)
	@tools/install-bench-tools
	$(BIN)/python -m tests.bench --size $(or $(SIZE),full)

golden: setup ## Write the golden files anew; read the difference before committing it
	REENTRA_WRITE_GOLDEN=1 $(BIN)/pytest -q -m "not server" -k golden

docs: setup ## Write the generated pages of docs/ anew
	$(BIN)/python tools/write_docs.py

lock: setup ## Pin the newest versions of all dependencies, with hashes
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --upgrade pyproject.toml --extra postgres --group all -o requirements/all.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate pyproject.toml --group dev -c requirements/all.txt -o requirements/dev.txt

clean: ## Remove what setup and tests made
	rm -rf $(VENV) build dist frontend/node_modules src/reentra/web/static .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
