# run: replay the sample blocks.  test: every test.  bench, bench-engine, bench-replay: measured against revm.
# lint: formats, lints, types.  conformance: the official fixtures.  wheel: a release build.  lock: pin requirements.
# fuzz: look for blocks that end otherwise in parallel (TIME=60, WHAT=all|hostile|blocks|scheduler).
# SOLDER_DATA names the data folder (fixtures, mainnet blocks); without it the suites that need it are "absent".

PYTHON ?= python3
export SOLDER_DATA ?= $(abspath ../shared/data)
VENV := .venv
BIN := $(VENV)/bin
CARGO ?= cargo
RUST := $(shell find crates -name '*.rs' -o -name Cargo.toml) Cargo.toml $(wildcard Cargo.lock)
# The test build is the release build: the interpreter is compiled once, and the fixtures run at full speed.
CARGO_TEST := $(CARGO) test --release --locked
# Of `make fuzz`: seconds, and what is searched.
TIME ?= 60
WHAT ?= all

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test fuzz bench bench-engine bench-replay lint format conformance conformance-forced wheel lock clean

help:
	@sed -n '1,4s/^# //p' Makefile

run: $(VENV)/.native
	@$(BIN)/solder replay examples/blocks --repeat 5 --workers 0 --schedule schedule.json

test: $(VENV)/.native $(VENV)/.oracle
	@$(BIN)/python tools/suites.py rust python conformance forced

conformance: $(VENV)/.native
	@$(BIN)/python tools/suites.py conformance

conformance-forced: $(VENV)/.native
	@$(BIN)/python tools/suites.py forced

bench: bench-engine bench-replay

bench-engine:
	@$(CARGO) run --release --locked --quiet -p solder-bench --bin bench-engine

bench-replay:
	@$(CARGO) run --release --locked --quiet -p solder-bench --bin bench-replay

# WHAT=hostile|scheduler|blocks|all, for TIME seconds. A failing seed repeats: see `fuzz --help`.
fuzz:
ifneq ($(WHAT),scheduler)
	@$(CARGO) run --release --locked --quiet -p solder-fuzz -- --seconds $(TIME) --what $(WHAT)
endif
ifneq ($(filter scheduler all,$(WHAT)),)
	@SOLDER_FUZZ_SECONDS=$(TIME) $(CARGO_TEST) --quiet -p solder-engine --test scheduler -- --include-ignored --nocapture
endif

lint: $(VENV)/.native
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tools tests
	$(BIN)/python -m mypy.stubtest solder._native

format:
	$(CARGO) fmt --all
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(VENV)/.wheel
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/maturin build --release --zig --compatibility manylinux_2_28 --out dist

lock: $(VENV)/.deps
	$(BIN)/python -m pip install --quiet pip-tools
	cd requirements && for name in dev wheel oracle; do \
	  CUSTOM_COMPILE_COMMAND="make lock" ../$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	    --output-file $$name.txt $$name.in || exit 1; \
	done

clean:
	rm -rf $(VENV) dist python/solder/_native*.so
	$(CARGO) clean

# Each stamp is newer than everything that its step was made from.
$(VENV)/.made:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.deps: $(VENV)/.made requirements/dev.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.oracle: $(VENV)/.deps requirements/oracle.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/oracle.txt
	@touch $@

$(VENV)/.wheel: $(VENV)/.deps requirements/wheel.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/wheel.txt
	@touch $@

$(VENV)/.native: $(VENV)/.deps $(RUST) pyproject.toml
	PIP_QUIET=1 $(BIN)/maturin develop --release --locked --quiet
	@touch $@
