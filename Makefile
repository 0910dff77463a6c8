# Needs Python (3.11 to 3.14) and make; everything else goes into .venv, pinned and checked by hash.
# A second call finds its stamps (.venv/.*-installed) and installs nothing.
#
#   make PYTHON=python3.12 test   uses another Python; a .venv made with a different one is made anew
#   make ARGS="-k gap" test       hands further words to what a target runs (run, test, bench, soak)
#   make UPGRADE=1 lock           takes newer versions; plain `make lock` keeps those that still fit

VENV ?= .venv
ARGS ?=

# Which Python made the .venv; without PYTHON=... that one stays in use.
made_with := $(shell cat $(VENV)/.made-with 2>/dev/null)
ifeq ($(origin PYTHON),undefined)
PYTHON := $(or $(made_with),python3)
endif

python := $(VENV)/bin/python
install := $(python) -m pip install --quiet --disable-pip-version-check
install_pinned := $(install) --require-hashes --requirement

.DEFAULT_GOAL := run
.NOTPARALLEL:
.PHONY: run test check bench bench-scale soak lock clean help FORCE

run: $(VENV)/.run-installed ## the main job on sample data: makes the data, runs the pipelines, shows the results
	@$(python) -m sojourn demo $(ARGS)

test: $(VENV)/.test-installed ## all tests, those against a real PostgreSQL included (some 15 minutes)
	@$(python) -m pytest -n 3 tests $(ARGS)

check: $(VENV)/.test-installed ## lint, format and types
	@status=0; \
	$(python) -m ruff check . || status=1; \
	$(python) -m ruff format --check . || status=1; \
	$(python) -m mypy $(wildcard src tests soak benchmarks) || status=1; \
	exit $$status

bench: $(VENV)/.bench-installed ## the benchmarks; writes benchmarks/RESULTS.md
	@$(python) -m benchmarks.run $(ARGS)

bench-scale: $(VENV)/.bench-installed ## how runs grow; writes docs/scaling.md
	@$(python) -m benchmarks.scale $(ARGS)

soak: $(VENV)/.test-installed ## the long crash, volume and load runs, and the long ones of the tests
	@SOJOURN_LONG=1 $(python) -m pytest -n 2 tests/store tests/service tests/laws tests/engines $(ARGS)
	@$(python) -m pytest soak $(ARGS)

lock: $(VENV)/.lock-installed ## pins all requirements anew, from pyproject.toml
	@$(compile) --group pyproject.toml:lock --output-file requirements/lock.txt
	@$(compile) pyproject.toml --group build --output-file requirements/run.txt
	@$(compile) pyproject.toml --group build --extra test \
		--constraints requirements/run.txt --output-file requirements/test.txt
	@$(compile_with_spark) pyproject.toml --group build --extra test --extra spark \
		--constraints requirements/test.txt --output-file requirements/spark.txt
	@$(compile_with_spark) pyproject.toml --group build --extra test --extra spark --extra bench \
		--constraints requirements/spark.txt --output-file requirements/bench.txt

clean: ## removes .venv, caches and build leftovers; never data
	rm -rf $(VENV) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests soak benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 | \2/p' Makefile | awk -F '|' '{ printf "%-13s%s\n", $$1, $$2 }'

# --universal: one file for Linux, macOS and every Python from 3.11. Wheels only: building from source
# would download build tools that nobody pinned. Nothing names where packages come from: that is pip's business.
compile = $(VENV)/bin/uv pip compile --quiet --no-config --universal --python-version 3.11 \
	--generate-hashes --only-binary :all: --emit-build-options --no-annotate \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)
# Spark comes as source only, and setuptools, which packs it, is pinned. Of pip's options the order counts: in the
# file, where they would be sorted, wheels only would be the last word.
compile_with_spark = $(filter-out --emit-build-options,$(compile)) --no-binary pyspark
but_spark := --only-binary :all: --no-binary pyspark --no-build-isolation

ifneq ($(PYTHON),$(made_with))
$(VENV)/.made-with: FORCE
endif

$(VENV)/.made-with:
	@command -v "$(PYTHON)" >/dev/null || { \
		echo "make: there is no $(PYTHON): install Python 3.11 or newer, or name yours: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || { \
		echo "make: $(PYTHON) is $$("$(PYTHON)" -V 2>&1), but Sojourn's pinned packages are for 3.11 to 3.14: name another: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make: $(PYTHON) lacks its venv module: install it (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	@echo "Making $(VENV) with $$("$(PYTHON)" -V) ..."
	@"$(PYTHON)" -m venv --clear $(VENV)
	@echo "$(PYTHON)" >$@

$(VENV)/.run-installed: $(VENV)/.made-with requirements/run.txt pyproject.toml
	@echo "Installing what Sojourn needs (once, about a minute) ..."
	@$(install_pinned) requirements/run.txt
	@$(install) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test-installed: $(VENV)/.run-installed requirements/test.txt requirements/spark.txt
	@echo "Installing what the tests need (once, with Spark half a gigabyte) ..."
	@$(install_pinned) requirements/test.txt
	@$(install_pinned) requirements/spark.txt $(but_spark)
	@touch $@

$(VENV)/.bench-installed: $(VENV)/.run-installed requirements/bench.txt
	@echo "Installing what the benchmarks need (once) ..."
	@$(install_pinned) requirements/bench.txt $(but_spark)
	@touch $@

$(VENV)/.lock-installed: $(VENV)/.made-with requirements/lock.txt
	@$(install_pinned) requirements/lock.txt
	@touch $@
