# The commands that people and CI use; nothing else sets anything up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.8
UV := $(BIN)/uv sync --quiet --frozen --inexact --python $(BIN)/python

.PHONY: run up lint test test-long chaos bench schemas clean

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

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .

test: lint  ## Lint, then everything that is not long.
	$(BIN)/python -m pytest -m "not long and not gpu"

test-long: $(VENV)/.long  ## The long ones.
	$(BIN)/python -m pytest -m "long and not gpu"

bench: $(VENV)/.test  ## Ratios against the floor and against direct calls, with the raw figures.
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
