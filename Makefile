# run: replay the sample blocks.  test: every test.  bench-engine, bench-replay: measured against revm. bench-ai: against ONNX Runtime.
# models: the example models. lint: formats, lints, types.  conformance: the official fixtures.  wheel: a release build.  lock: pin requirements.
# fuzz: look for blocks that end otherwise in parallel, models that compute otherwise (TIME=60, WHAT=all|hostile|blocks|scheduler|models).
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
.PHONY: help run test fuzz bench bench-engine bench-replay bench-simulate bench-ai models lint format conformance conformance-forced wheel lock clean

help:
	@sed -n '1,4s/^# //p' Makefile

run: $(VENV)/.native
	@$(BIN)/solder replay examples/blocks --repeat 5 --workers 0 --schedule schedule.json

test: $(VENV)/.deps $(VENV)/.native $(VENV)/.oracle models
	@$(BIN)/python tools/suites.py rust python conformance forced

conformance: $(VENV)/.deps $(VENV)/.native
	@$(BIN)/python tools/suites.py conformance

conformance-forced: $(VENV)/.deps $(VENV)/.native
	@$(BIN)/python tools/suites.py forced

bench: bench-engine bench-replay bench-simulate bench-ai

bench-engine:
	@$(CARGO) run --release --locked --quiet -p solder-bench --bin bench-engine

bench-replay:
	@$(CARGO) run --release --locked --quiet -p solder-bench --bin bench-replay

# Against pyrevm, which is installed for this only, and plain revm.
bench-simulate: $(VENV)/.deps $(VENV)/.native $(VENV)/.bench
	@$(CARGO) build --release --locked --quiet -p solder-bench --bin bench-simulate
	@$(BIN)/python benches/simulate

# One thread of the runtime and of NumPy unless a figure says two.
bench-ai: models
	@$(CARGO) run --release --locked --quiet -p solder-ai --example kernels -- 512x1536x384 > target/models/kernels.jsonl
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python benches/ai --kernels target/models/kernels.jsonl

# The example models into target/models; TRAIN=1 trains the small float ones again.
models: $(VENV)/.deps $(VENV)/.native $(if $(TRAIN),$(VENV)/.train)
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python examples/models/make.py $(if $(TRAIN),--train --update)

# WHAT=hostile|scheduler|blocks|models|all, for TIME seconds each. A failing seed repeats: see `--help` of each.
fuzz: $(if $(filter models all,$(WHAT)),$(VENV)/.deps $(VENV)/.native)
	$(if $(filter hostile blocks scheduler models all,$(WHAT)),,$(error WHAT=$(WHAT) is none of hostile, blocks, scheduler, models, all))
ifneq ($(filter hostile blocks all,$(WHAT)),)
	@$(CARGO) run --release --locked --quiet -p solder-fuzz -- --seconds $(TIME) --what $(WHAT)
endif
ifneq ($(filter scheduler all,$(WHAT)),)
	@SOLDER_FUZZ_SECONDS=$(TIME) $(CARGO_TEST) --quiet -p solder-engine --test scheduler -- --include-ignored --nocapture
endif
ifneq ($(filter models all,$(WHAT)),)
	@$(BIN)/python -m tests.coprocessors.ai.parity --seconds $(TIME)
endif

lint: $(VENV)/.deps $(VENV)/.native
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
	cd requirements && for name in dev run wheel oracle train bench npm; do \
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

# `make run` stays light: what tests and models need is in .deps.
$(VENV)/.run: $(VENV)/.made requirements/run.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/run.txt
	@touch $@

$(VENV)/.deps: $(VENV)/.made requirements/dev.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.oracle: $(VENV)/.deps requirements/oracle.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/oracle.txt
	@touch $@

$(VENV)/.train: $(VENV)/.deps requirements/train.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/train.txt
	@touch $@

$(VENV)/.bench: $(VENV)/.deps requirements/bench.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/bench.txt
	@touch $@

$(VENV)/.wheel: $(VENV)/.deps requirements/wheel.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/wheel.txt
	@touch $@

$(VENV)/.native: $(VENV)/.run $(RUST) pyproject.toml
	PIP_QUIET=1 $(BIN)/maturin develop --release --locked --quiet
	@touch $@
