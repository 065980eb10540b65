# Everything from a fresh checkout: needs Python 3.11 or newer, make, and a C compiler.
# Another Python: make PYTHON=python3.12 setup

PYTHON ?= python3
BIN := .venv/bin
DONE := .venv/.setup-done

# One thread a process: at these sizes more threads only spin, and ruin what runs beside them.
export OMP_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo check test bench arm

# what can be made
help:
	@awk '/^# /{said = substr($$0, 3)} /^[a-z]+:/{printf "make %-6s %s\n", substr($$1, 1, index($$1, ":") - 1), said}' Makefile

# the virtual environment .venv with everything in it, once
setup: $(DONE)

# the whole road on a simulated fleet, in about two minutes
demo: $(DONE)
	$(BIN)/edge demo

# what a reader would object to: style, types, directions of imports
check: $(DONE)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck .ci/* arm/*.sh arm/guest/*.sh tests/booted/*.sh
	$(BIN)/hadolint Dockerfile.arm

# every claim in tests/; what some of them need is installed where that is allowed: mosquitto, the old TFLite runtime, TensorFlow
test: $(DONE)
	@.ci/mosquitto
	@.ci/old-runtime
	@.ci/tensorflow
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadgroup

# the measured figures, one script after the other: hours on one thread; fails where a bar is missed; PART="skab turbofan" picks scripts
bench: $(DONE)
	missed=0; for script in $(if $(PART),$(PART:%=bench/%.py),bench/*.py); do echo "== $$script"; $(BIN)/python "$$script" || missed=1; done; exit $$missed

# the same on ARM: emulated Pis, containers and a booted machine, as root on Debian; PART="replay daemon" picks parts
arm: $(DONE)
	$(BIN)/python -m arm $(PART)

$(DONE): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is $$($(PYTHON) -V 2>&1); edge needs 3.11 or newer: make PYTHON=python3.12 setup"; exit 1; }
	$(PYTHON) -m venv .venv || { echo "no virtual environment; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@
