# The commands that people and CI use; nothing else sets anything up. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.8
SEED ?= 7
ROUNDS ?= 300
TURNS ?= 5
LANES ?= 2
BUDGET ?= 10
DEVICE ?=
# Three at a time on two cores, since most tests wait for another process; the tests of a file stay together.
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadfile
UV := $(BIN)/uv sync --quiet --frozen --inexact --python $(BIN)/python

.PHONY: help run up lint test test-long hardware chaos bench schemas pages pictures clean

help:  ## List these commands.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

$(BIN)/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)

# What the main job needs, and nothing else.
$(VENV)/.run: $(BIN)/uv uv.lock pyproject.toml qurable/pyproject.toml
	$(UV)
	@touch $@

# What the tests need on top.
$(VENV)/.test: $(VENV)/.run
	$(UV) --group dev
	@touch $@

$(VENV)/.long: $(VENV)/.test
	$(UV) --group dev --group long
	@touch $@

run: $(VENV)/.run  ## Run the main job on an embedded Temporal and print its report.
	$(BIN)/python starter.py

up: $(VENV)/.run  ## Keep embedded Temporal, worker and gateway running.
	$(BIN)/python starter.py --up

lint: $(VENV)/.test  ## Format, lint and types.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .

test: lint  ## Lint, then every test that is not long.
	$(PYTEST) -m "not long and not gpu and not hardware"

test-long: $(VENV)/.long  ## The long tests: large circuits, more rounds, the wheel, oldest and newest versions.
	$(PYTEST) -m "long and not gpu"

# ROUNDS and LANES are those of paid jobs, whose table is written anew; TURNS is how often all else is repeated.
hardware: $(VENV)/.test  ## One small job a day on real hardware, as in `make hardware BUDGET=10 DEVICE=ibm_torino`; it is paid for.
	HARDWARE_BUDGET_SECONDS=$(BUDGET) HARDWARE_DEVICE=$(DEVICE) $(BIN)/python -m pytest -m hardware tests/hardware

chaos: $(VENV)/.long  ## Kill -9 everywhere, and write docs/crash-matrix.md, as in `make chaos SEED=3 ROUNDS=600`.
	CHAOS_SEED=$(SEED) CHAOS_ROUNDS=$(TURNS) CHAOS_PAID_ROUNDS=$(ROUNDS) CHAOS_LANES=$(LANES) \
	CHAOS_TABLE=docs/crash-matrix.md $(BIN)/python -m pytest -s tests/chaos

bench: $(VENV)/.test  ## Ratios against the floor and against direct calls, with the raw figures.
	$(BIN)/python -m benchmarks

schemas: $(VENV)/.run  ## Write docs/schemas anew from the contracts.
	$(BIN)/python -m docs.schemas.generate

pages: $(VENV)/.run  ## Write docs/cli.md and docs/settings.md anew from the code.
	$(BIN)/python -m docs.cli_page
	$(BIN)/python -m docs.settings_table

pictures: $(VENV)/.test  ## Take the pictures of the web UI in docs/images anew.
	REFRESH_PICTURES=1 $(BIN)/python -m pytest tests/web_ui

clean:  ## Remove the environment and every cache; jobs stay in the data folder.
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
