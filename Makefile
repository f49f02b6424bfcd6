# `make demo` and `make test` each work alone on a machine that has Python 3.11 and make.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# An uv that is installed but does not start (a shim of another version) counts as missing.
UV := $(shell uv --version >/dev/null 2>&1 && command -v uv || echo $(BIN)/uv)

# EXTRAS=all adds torch, coqui-tts and the programs whose exports the tests speak (5 GB); EXTRAS=gpu is
# that with onnxruntime-gpu; the tests then fetch PaddleSpeech as well (268 MB, once). Without it
# `setup` and what runs the farm have the light set, and what checks it has the tests' tools, too.
EXTRAS ?= dev
SET_dev := dev
SET_all := all
SET_gpu := gpu
SET := $(or $(SET_$(EXTRAS)),$(error EXTRAS is '$(EXTRAS)': choose dev, all or gpu))

PYTHON_SCRIPTS := $(shell grep -lE '^\#!.*python' scripts/*)

.PHONY: help setup dev demo up test faults gpu lint format bench lock clean

help:  ## list the targets
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/make \1\t\2/p' Makefile | expand -t 16

setup: $(VENV)/.$(patsubst dev,light,$(SET))  ## build .venv with what the farm needs to run (EXTRAS=all: torch, too; gpu: for a GPU)
dev: $(VENV)/.$(SET)

demo: setup  ## turn the sample book into an audiobook in out/demo
	@$(BIN)/farm demo

up: setup  ## run the farm until Ctrl-C
	@$(BIN)/farm up

# Two files at a time, for many tests wait for processes; what ARGS names, one test after another.
test: dev  ## run the tests (EXTRAS=all: with every engine)
	@$(BIN)/python -m pytest $(or $(ARGS),-n 2 --dist loadfile --max-worker-restart 0)

faults: dev  ## kill every kind of process in turn (an hour)
	@$(BIN)/python -m pytest -m faults -raP -o faulthandler_timeout=0 $(ARGS)

gpu: $(VENV)/.gpu  ## run what needs a GPU, after setup EXTRAS=gpu; without a GPU it fails
	@FARM_GPU_TESTS_DEVICE=$${FARM_GPU_TESTS_DEVICE:-cuda:0} $(BIN)/python -m pytest tests/gpu -s $(ARGS)

lint: dev  ## check style and types
	@$(BIN)/ruff check . $(PYTHON_SCRIPTS)
	$(BIN)/ruff format --check . $(PYTHON_SCRIPTS)
	$(BIN)/mypy

format: dev  ## put the code into the house's format
	@$(BIN)/ruff check --fix . $(PYTHON_SCRIPTS)
	$(BIN)/ruff format . $(PYTHON_SCRIPTS)

bench: dev  ## compare the farm with its bare engine on this machine
	@scripts/bench

lock: $(BIN)/python | $(UV)  ## bring requirements/*.txt up to date (ARGS=--upgrade)
	@PATH="$(dir $(UV)):$$PATH" scripts/lock $(ARGS)

clean:  ## remove what was built (not .farm, where your jobs are)
	rm -rf $(VENV) out build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
		echo "make: $(PYTHON) is not Python 3.11 or newer; say make PYTHON=/path/to/python3.11" >&2
		exit 1
	}
	$(PYTHON) -m venv --without-pip $(VENV)

# Debian ships venv without ensurepip; then the system's own pip may stand in.
$(BIN)/uv: requirements/uv.txt | $(BIN)/python
	@if $(BIN)/python -m ensurepip --version >/dev/null 2>&1; then
		$(BIN)/python -m ensurepip >/dev/null
		pip=($(BIN)/python -m pip)
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then
		pip=($(PYTHON) -m pip --python $(BIN)/python)
	else
		echo "make: no uv, and $(PYTHON) has neither ensurepip nor pip to install it with;" \
			"install one of them (Debian: apt-get install python3-venv) and say make again" >&2
		exit 1
	fi
	"$${pip[@]}" install --quiet --require-hashes -r requirements/uv.txt
	touch $@

# Compiled here once, not by each process of the farm: some machines tell Python to keep no bytecode.
$(VENV)/.%: requirements/%.txt pyproject.toml | $(BIN)/python $(UV)
	@if [ -e $(VENV)/.gpu ]; then
		$(UV) pip uninstall --python $(BIN)/python onnxruntime-gpu
		rm $(VENV)/.gpu
	fi
	$(UV) pip install --python $(BIN)/python --no-deps --require-hashes --compile-bytecode -r $<
	$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

# Both runtimes write the same folder, so the one goes before the other comes.
$(VENV)/.gpu: requirements/gpu.txt $(VENV)/.all | $(BIN)/python $(UV)
	@$(UV) pip uninstall --python $(BIN)/python onnxruntime
	$(UV) pip install --python $(BIN)/python --no-deps --require-hashes --compile-bytecode -r $<
	touch $@
