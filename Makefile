# Every command a person types. `make help` lists them.
SHELL := bash
.DEFAULT_GOAL := help
PYTHON ?=
CORES ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup demo test test-all lint format config bench lock report-check report-picture clean

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## set up .venv from the lock (done by the other commands when needed)
	@PYTHON="$(PYTHON)" envs/setup.sh

demo: setup  ## run the embedded study whose truth is known, and say where its report is
	@start=$$(date +%s); $(BIN)/snakemake --profile local --cores $(CORES) --quiet rules \
	  && echo "make demo: done in $$(( $$(date +%s) - start )) s. Open results/demo/report/index.html"

test: setup lint  ## lint, types and quick tests
	@$(BIN)/python -m pytest -n $(CORES) --dist loadfile -m "not slow" && echo "make test: lint, types and tests passed"

test-all: setup lint  ## also the slow tests: simulation studies, kill-and-rerun trials
	@$(BIN)/python -m pytest -n $(CORES) --dist loadfile && echo "make test-all: lint, types and all tests passed"

lint: setup  ## ruff, mypy --strict, snakefmt, snakemake --lint, spelling
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --check --quiet . && $(BIN)/mypy --no-error-summary \
	  && $(BIN)/snakefmt --check --compact-diff Snakefile rules 2>/dev/null \
	  && { said=$$($(BIN)/snakemake --lint 2>&1) || { echo "$$said"; exit 1; }; } && $(BIN)/codespell && echo "make lint: clean"

format: setup  ## format Python and Snakemake code
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet . ; $(BIN)/snakefmt Snakefile rules 2>/dev/null

config: setup  ## regenerate config/config.yaml, config/schema.json and config/README.md
	@$(BIN)/python -m consilience.study.document

bench: setup  ## speed and memory against the peers, in one run each
	@for script in bench/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

lock: setup  ## renew envs/lock.txt from what envs/requirements.in asks for (edit that file first)
	@envs/renew_lock.sh

report-check: setup  ## look at the demo's report in a real browser (headless Chromium)
	@$(BIN)/python -m pytest -m browser tests/browser

report-picture: setup  ## renew docs/report.png from the demo's report
	@$(BIN)/python tests/browser/picture.py results/demo/report/index.html docs/report.png

clean:  ## remove results, logs and caches of the demo (keeps .venv)
	rm -rf results/demo logs/demo benchmarks/demo .pytest_cache .mypy_cache .ruff_cache
