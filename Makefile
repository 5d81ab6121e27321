# The front door: `make help` lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
TOOLS  := .tools-venv/bin
OLDEST := .oldest-venv/bin
PIP    := -m pip install --quiet --disable-pip-version-check
HASHED := $(PIP) --require-hashes
# Without this the tests would import the checkout that they lie in, not what is installed.
PYTEST := PYTHONSAFEPATH=1 $(BIN)/python -m pytest
MEASURED := PYTHONSAFEPATH=1 $(BIN)/python -m coverage run -m pytest
# What holds for both executables, against the native one; tests/native/one-only.tsv says of which not.
NATIVE_FOLDER ?= .native
BOTH := $(addprefix tests/,cache ecr protocol registry settings tokens) \
	$(wildcard tests/native/test_executable*.py)
NATIVELY := NATIVE_EXECUTABLE=$(abspath $(NATIVE_FOLDER))/for-tests/docker-credential-ecr $(PYTEST) $(BOTH)
NATIVE  = $(wildcard dist/docker-credential-ecr-linux-$(shell uname -m))
JOBS   ?= 3 # two that work and one that waits: much of what is tested is waiting
TOGETHER := -n $(JOBS) --dist loadfile # a group across files is nothing to xdist 3.8 with pytest 9.2
# Of $(PYTEST_ARGS), one of two runs may find nothing to do: pytest says so with status 5.
OR_NONE := || [ $$? -eq 5 -a -n "$(PYTEST_ARGS)" ]

.DEFAULT_GOAL := help
.PHONY: help demo record check test proof test-oldest test-windows test-native lint bench mutants native native-equal packages test-packages front wheel wheels sdist requirements audit clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## what a user does, on an AWS endpoint of the demo's own: no account needed
	@echo "- making .demo-venv ..."
	@$(PYTHON) -m venv .demo-venv
	@rm -rf build *.egg-info
	@echo "- installing this project into it: half a minute, the first time ..."
	@.demo-venv/bin/python $(PIP) .; status=$$?; rm -rf build *.egg-info; exit $$status
	@.demo-venv/bin/python packaging/demo.py
	@echo "- what is left is the folder .demo-venv, which makes the next demo quick: rm -r .demo-venv"

record: $(BIN)/python ## the terminal in README, as it was: docs/session.svg (root, and what .ci/run installs)
	@$(BIN)/python packaging/record.py docs/session.svg

check: lint ## the loop: lint, types, and the tests that start no server; under a minute
	$(PYTEST) $(TOGETHER) -q -m "not server and not alone and not proof" $(PYTEST_ARGS)

test: $(BIN)/python ## all tests, against the installed wheel, with coverage; proofs in their short form
	@rm -rf .reports
	@$(BIN)/python -m coverage erase
	$(MEASURED) $(TOGETHER) -m "not alone" --junitxml=.reports/together.xml $(PYTEST_ARGS) $(OR_NONE)
	$(MEASURED) -m alone --junitxml=.reports/alone.xml $(PYTEST_ARGS) $(OR_NONE)
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report --fail-under=99 | tail -n 25
	@$(BIN)/python tests/kit/tally.py .reports/*.xml

proof: $(BIN)/python ## what tries to break it, in the long form
	$(PYTEST) --proof -m proof $(PYTEST_ARGS)

test-oldest: .oldest-venv/.requirements ## AWS, cache and locks with the lowest versions that setup.cfg allows
	@rm -rf build *.egg-info
	@$(OLDEST)/python $(PIP) --no-deps --no-build-isolation --force-reinstall .
	PYTHONSAFEPATH=1 $(OLDEST)/python -m pytest $(TOGETHER) -q -m "not alone" \
		tests/cache tests/ecr tests/tokens $(PYTEST_ARGS)

test-windows: $(BIN)/python ## the everyday way and past faults on Windows, by Wine; WINDOWS_LAB names its folder
	$(BIN)/python tests/windows/lab.py
	$(PYTEST) tests/windows $(PYTEST_ARGS)

test-native: $(BIN)/python ## all that holds for both against the native executable of this machine
	@$(PYTHON) packaging/native/build.py --for-tests $$(uname -m)
	$(NATIVELY) $(TOGETHER) -m "not alone" $(PYTEST_ARGS)

lint: $(BIN)/python ## ruff and mypy
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

bench: $(BIN)/python ## benchmarks: paired runs, a table and a plot in benchmarks/results; with make native's, if built
	$(BIN)/python benchmarks/run.py $(addprefix --native ,$(NATIVE))
	$(if $(NATIVE),$(BIN)/python benchmarks/fronts.py --native $(NATIVE) > benchmarks/results/fronts.md)

mutants: $(BIN)/python ## change the package one thing at a time, see whether tests notice: MUTANTS="--all"
	$(BIN)/python tests/mutants/mutants.py $(MUTANTS)

native: ## build the native executables into dist/; NATIVE_FOLDER keeps sources and what was compiled
	@$(PYTHON) packaging/native/build.py $(ARCHITECTURES)

native-equal: native ## build once more from nothing, in another folder, and compare byte by byte
	@rm -rf $(NATIVE_FOLDER).again
	@$(PYTHON) packaging/native/build.py --folder $(NATIVE_FOLDER).again --into $(NATIVE_FOLDER).again/dist $(ARCHITECTURES)
	@for file in $(NATIVE_FOLDER).again/dist/*; do cmp "$$file" "dist/$${file##*/}" || exit; done
	@echo "equal: $$(cd $(NATIVE_FOLDER).again/dist && sha256sum *)"

packages: native .packages-venv/.requirements ## build .deb, .rpm, .apk, .tar.gz of the native executables into dist/
	@.packages-venv/bin/python packaging/packages/packages.py --folder $(NATIVE_FOLDER) $(ARCHITECTURES)

test-packages: packages wheels $(BIN)/python ## the packages of the native executable, in roots of their own
	NATIVE_FOLDER=$(abspath $(NATIVE_FOLDER)) NATIVE_PACKAGES=$(CURDIR)/dist $(PYTEST) $(TOGETHER) tests/packages $(PYTEST_ARGS)

front: ## build the native front for this machine into dist/ (needs a C compiler)
	@mkdir -p dist
	$(CC) -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -o dist/docker-credential-ecr packaging/native/front/*.c

wheel: $(VENV)/.requirements ## build the wheel into dist/
	@rm -rf build *.egg-info
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .
	@rm -rf build *.egg-info

wheels: wheel ## build the platform wheels, with the front in them, too
	$(PYTHON) packaging/native/wheels.py --folder $(NATIVE_FOLDER) dist/docker_credential_ecr-*-py3-none-any.whl

sdist: $(VENV)/.requirements ## build the source distribution into dist/
	@rm -rf *.egg-info
	$(BIN)/python -c 'from setuptools import build_meta; print(build_meta.build_sdist("dist"))'

requirements: .tools-venv/.requirements ## choose the newest versions anew, and write down their hashes
	@TOOLS=$(TOOLS) sh requirements/compile

audit: .tools-venv/.requirements ## ask for known vulnerabilities of what is required (needs the network)
	@for file in test build native node oldest packages tools; do echo "requirements/$$file.txt"; \
		$(TOOLS)/pip-audit --strict --require-hashes --disable-pip --requirement requirements/$$file.txt || exit; done

# The package is installed anew each time: the tests run what users get, never the checkout.
$(BIN)/python: $(VENV)/.requirements FORCE
	@rm -rf build *.egg-info # setuptools would install what it built before
	@$(BIN)/python $(PIP) --no-deps --no-build-isolation --force-reinstall .
	@cp tests/kit/bare_threads.py $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

$(VENV)/.requirements: requirements/test.txt requirements/build.txt
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(HASHED) -r requirements/test.txt -r requirements/build.txt
	@touch $@

.oldest-venv/.requirements: requirements/oldest.txt requirements/test.txt requirements/build.txt
	@$(PYTHON) -m venv .oldest-venv
	@$(OLDEST)/python $(HASHED) -r requirements/test.txt -r requirements/build.txt
	@$(OLDEST)/python $(HASHED) -r requirements/oldest.txt
	@touch $@

.tools-venv/.requirements: requirements/tools.txt
	@$(PYTHON) -m venv .tools-venv
	@$(TOOLS)/python $(HASHED) -r requirements/tools.txt
	@touch $@

.packages-venv/.requirements: requirements/packages.txt
	@$(PYTHON) -m venv .packages-venv
	@.packages-venv/bin/python $(HASHED) -r requirements/packages.txt
	@touch $@

FORCE:

clean: ## remove what the targets made
	rm -rf .venv .demo-venv .native .native.again .oldest-venv .packages-venv .tools-venv build dist *.egg-info .reports .coverage* \
		.pytest_cache .mypy_cache .ruff_cache .hypothesis
