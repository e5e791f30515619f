# Luna. `make run` and `make test` do all the set-up a fresh machine needs; `make help` lists the rest.

PYTHON      ?= python3
CACHE       := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)
# Everything that was downloaded or built and can be used again: wheels and model weights.
LUNA_CACHE  ?= $(CACHE)/luna
MODELS      := $(LUNA_CACHE)/models
WHEELS      := $(LUNA_CACHE)/wheels

VENV        := .venv
BIN         := $(VENV)/bin
STAMPS      := $(VENV)/.stamps
PIP         := $(BIN)/python -m pip --disable-pip-version-check

DEBIAN_RUN  := python3-venv python3-dev build-essential libportaudio2 espeak-ng
DEBIAN_TEST := pulseaudio pulseaudio-utils libasound2-plugins procps

export LUNA_MODELS_DIR := $(MODELS)

.DEFAULT_GOAL := help
.PHONY: help run test lint bench setup setup-test lock clean debian-run debian-test systemd

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

run: setup ## Install what is missing and start Luna (ARGS="..." are passed on)
	@$(BIN)/luna run $(ARGS)

test: setup-test ## Install what is missing and run all tests (PYTEST_ARGS="...")
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(STAMPS)/dev $(STAMPS)/package ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup-test ## Measure, print the table, write build/benchmarks/results.json (BENCH_ARGS="--quick")
	$(BIN)/python -m tests.benchmarks $(BENCH_ARGS)

setup: debian-run $(STAMPS)/runtime $(STAMPS)/llama $(STAMPS)/package $(STAMPS)/systemd $(STAMPS)/models

setup-test: debian-run debian-test $(STAMPS)/dev $(STAMPS)/llama $(STAMPS)/package $(STAMPS)/systemd $(STAMPS)/models-test

debian-run:
	@sh image_build/setup/debian_packages.sh $(DEBIAN_RUN)

debian-test:
	@sh image_build/setup/debian_packages.sh $(DEBIAN_TEST)

$(VENV)/bin/python: | debian-run
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Luna needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

# A stamp is written when its step is complete, and is older than its inputs when they change.
$(STAMPS)/build: requirements/build.txt | $(VENV)/bin/python
	@mkdir -p $(STAMPS)
	@echo "Installing the build tools ..."
	@$(PIP) install --quiet --require-hashes -r requirements/build.txt
	@touch $@

$(STAMPS)/runtime: requirements/runtime.txt | $(STAMPS)/build
	@echo "Installing the Python packages ..."
	@sh image_build/setup/python_packages.sh $(BIN)/python requirements/runtime.txt
	@touch $@

$(STAMPS)/dev: requirements/dev.txt | $(STAMPS)/build
	@echo "Installing the Python packages for tests and lint ..."
	@sh image_build/setup/python_packages.sh $(BIN)/python requirements/dev.txt
	@touch $@ $(STAMPS)/runtime

$(STAMPS)/llama: requirements/runtime.txt image_build/setup/llama_wheel.sh | $(STAMPS)/build
	@sh image_build/setup/llama_wheel.sh $(abspath $(BIN)/python) $(WHEELS)
	@touch $@

$(STAMPS)/package: pyproject.toml | $(STAMPS)/build
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Optional: Luna logs to standard error without it.
$(STAMPS)/systemd: requirements/systemd.txt | $(STAMPS)/build
	@$(PIP) install --quiet --no-deps --no-build-isolation --require-hashes \
	    -r requirements/systemd.txt >/dev/null 2>&1 \
	    || echo "systemd-python was not built (it needs libsystemd-dev and pkg-config); going on without."
	@touch $@

$(STAMPS)/models: models/catalogue.toml | $(STAMPS)/runtime $(STAMPS)/package
	@echo "Installing the models into $(MODELS) ..."
	@$(BIN)/python -m appliance.models.install
	@touch $@

$(STAMPS)/models-test: models/catalogue.toml | $(STAMPS)/dev $(STAMPS)/package
	@echo "Installing the models into $(MODELS) ..."
	@$(BIN)/python -m appliance.models.install --all
	@touch $@ $(STAMPS)/models

lock: ## Resolve the Python packages anew and write their hashes
	for name in runtime dev build systemd; do \
	    $(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	        --no-header --no-annotate --allow-unsafe requirements/$$name.in -o requirements/$$name.txt; \
	done

clean: ## Remove what was made in this folder (the cache stays)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
