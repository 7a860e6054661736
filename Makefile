# Everything a contributor or a first-time visitor types. Each target sets up what it needs: only Python, 3.11 to 3.13, and
# make have to be there. `make setup` does nothing when requirements.lock and pyproject.toml are unchanged.

# the oldest first: whatever works on it works on the others. `make PYTHON=python3.13 VENV=.venv-3.13 test` takes another
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
VERSION := import sys; print("Python %d.%d" % sys.version_info[:2])
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	"$$p" -c '$(FITS)' 2>/dev/null && echo "$$p" && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
ARGS ?=

# `python` and `ray` are ours, also in the processes that these commands start
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: setup demo test test-slow test-pythons lint format bench clean same-python

setup: $(STAMP)

# a PYTHON that is given wins: where the environment was made with another version, that is said and nothing is done
same-python:
ifneq ($(origin PYTHON),file)
	@test ! -x $(BIN)/python || test "$$("$(PYTHON)" -c '$(VERSION)')" = "$$($(BIN)/python -c '$(VERSION)')" || \
		{ echo "$(VENV) has $$($(BIN)/python -c '$(VERSION)'): give $(PYTHON) another folder, like VENV=.venv-other" >&2; exit 2; }
endif

$(STAMP): requirements.lock pyproject.toml | same-python
	@"$(PYTHON)" -c '$(FITS)' 2>/dev/null || { \
		echo "no Python 3.11, 3.12 or 3.13 was found$(if $(PYTHON), as $(PYTHON)): install one, or put it on PATH" >&2; exit 2; }
	@# pip comes last: where Debian's python3-venv was missing there is a python without it, to be made whole
	@test -x $(BIN)/pip || "$(PYTHON)" -m venv $(VENV)
	@# uv itself comes by the lock's hashes too: its block of the lock is what pip gets
	@awk '/^[^ ]/ { ours = /^uv==/ } ours' requirements.lock > $(VENV)/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(VENV)/uv.lock
	@# where Python may not keep byte code as it runs, every start would compile torch and Ray anew: once, here, instead
	$(if $(PYTHONDONTWRITEBYTECODE),UV_COMPILE_BYTECODE=1) $(BIN)/uv pip install --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation --config-settings editable_mode=compat -e .
	@touch $@

demo: $(STAMP)
	@$(BIN)/python -m orchestrator.commands.submit $(ARGS)

# in two processes, as many as the smallest machine has cores; ARGS=-n0 runs them one after another
test: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

test-slow: $(STAMP)
	$(BIN)/pytest -m "(slow or faults) and not gpu and not tpu" $(ARGS)

# a micro demo and the default tests on every Python that this machine has; each gets an environment of its own
test-pythons:
	@.ci/test-pythons $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# one after another: they measure. All of them run, also behind one that misses its mark; bench_signal trains for an
# hour and is for whoever asks for it
bench: $(STAMP)
	@missed=; for bench in $(filter-out %/bench_signal.py,$(wildcard tests/benchmarks/bench_*.py)); do \
		module=$${bench%.py}; $(BIN)/python -m "$$(echo "$$module" | tr / .)" $(ARGS) || missed="$$missed $$bench"; done; \
		test -z "$$missed" || { echo "below their marks:$$missed" >&2; exit 1; }

clean:
	rm -rf .venv* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build *.egg-info
