# The front door: `make help` lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench mutants wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## the main job on an embedded AWS endpoint: no account, nothing left behind
	@$(PYTHON) -m venv .demo-venv
	@rm -rf build *.egg-info
	@.demo-venv/bin/python -m pip install --quiet --disable-pip-version-check . ministack
	@.demo-venv/bin/python packaging/demo.py

test: $(BIN)/python ## unit and end-to-end tests, against the installed wheel, with coverage
	@$(BIN)/python -m coverage erase
	PYTHONSAFEPATH=1 $(BIN)/python -m coverage run -m pytest $(PYTEST_ARGS)
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report --fail-under=95 | tail -n 25

lint: $(BIN)/python ## ruff and mypy
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

bench: $(BIN)/python ## benchmarks: paired runs, a table and a plot in benchmarks/results
	$(BIN)/python benchmarks/run.py

mutants: $(BIN)/python ## change the package one thing at a time, see whether tests notice: MUTANTS="--all"
	$(BIN)/python tests/mutants/mutants.py $(MUTANTS)

wheel: ## build the wheel into dist/
	$(PYTHON) -m pip wheel --quiet --no-deps --wheel-dir dist .

# The package is installed anew each time: the tests run what users get, never the checkout.
$(BIN)/python: FORCE
	@test -x $@ || $(PYTHON) -m venv $(VENV)
	@rm -rf build *.egg-info # setuptools would install what it built before
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[test]'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall .

FORCE:

clean: ## remove what the targets made
	rm -rf .venv .demo-venv build dist *.egg-info .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
