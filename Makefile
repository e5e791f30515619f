# Luna. `make run` and `make test` do all the set-up a fresh machine needs; `make help` lists the rest.

PYTHON      ?= python3
CACHE       := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)
# Everything that was downloaded or built and can be used again: wheels and model weights.
LUNA_CACHE  ?= $(CACHE)/luna
MODELS_DIR  := $(LUNA_CACHE)/models
WHEELS      := $(LUNA_CACHE)/wheels

VENV        := .venv
BIN         := $(VENV)/bin
PIP         := $(BIN)/python -m pip --disable-pip-version-check
SETUP       := image_build/setup

# A Python that can make environments (pyenv's, for one) needs none of Debian's.
DEBIAN_RUN  := $(shell $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv python3-dev)
DEBIAN_RUN  += build-essential libportaudio2 espeak-ng
DEBIAN_TEST := pulseaudio pulseaudio-utils libasound2-plugins procps faketime chromium tmux lintian systemd-container

# A finished step leaves a stamp named after the hash of what went into it, so that a step is done
# again when its inputs differ, and an interrupted one is not taken for done. The stamps lie in the
# environment: one that is gone, or whose Python is, takes them with it.
STAMPS      := $(VENV)/.stamps
$(shell $(BIN)/python -c 'import pip' 2>/dev/null || rm -rf $(STAMPS))
stamp        = $(STAMPS)/$(1)-$(shell cat $(2) | sha256sum | cut -c1-16)
done         = rm -f $(STAMPS)/$(1)-* && touch

VENV_DONE   := $(STAMPS)/venv
BUILD       := $(call stamp,build,requirements/build.txt)
RUNTIME     := $(call stamp,runtime,requirements/runtime.txt $(SETUP)/python_packages.sh)
DEV         := $(call stamp,dev,requirements/dev.txt $(SETUP)/python_packages.sh)
LLAMA       := $(call stamp,llama,requirements/runtime.txt requirements/build.txt $(SETUP)/llama_wheel.sh)
PACKAGE     := $(call stamp,package,pyproject.toml)
SYSTEMD     := $(call stamp,systemd,requirements/systemd.txt)
# Of the models, the stamps lie with the models.
WEIGHTS     := $(subst $(STAMPS)/,$(MODELS_DIR)/.installed-,$(call stamp,run,models/catalogue.toml))
TEST_WEIGHTS := $(subst .installed-run-,.installed-test-,$(WEIGHTS))

export LUNA_MODELS_DIR := $(MODELS_DIR)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help man install uninstall deb run test lint bench backup image boot-image bundle setup setup-test lock clean debian-run debian-test

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

run: setup ## Install what is missing and start Luna (ARGS="..." are passed on)
	@$(BIN)/luna run $(ARGS)

# Most tests wait for something, so two run beside each other; those that hear, speak or think in real
# time run alone, and so does the emulated machine, which takes a quarter of an hour. Status 5: none of
# the tests that were asked for is among these.
test: setup-test ## Install what is missing and run all tests (PYTEST_ARGS="...")
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder \
	    -m "not (sound or models or emulator)" $(PYTEST_ARGS) || [ $$? = 5 ]
	$(BIN)/python -m pytest -m "sound or models" $(PYTEST_ARGS) || [ $$? = 5 ]
	$(BIN)/python -m pytest -m emulator $(PYTEST_ARGS) || [ $$? = 5 ]

lint: $(DEV) $(PACKAGE) ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup-test ## Measure, print the table, write build/benchmarks/results.json (BENCH_ARGS="--quick")
	$(BIN)/python -m tests.benchmarks $(BENCH_ARGS)

backup: debian-run $(RUNTIME) $(PACKAGE) ## Save everything Luna keeps in one file (ARGS="--to FOLDER")
	@$(BIN)/luna backup $(ARGS)

man: $(RUNTIME) $(PACKAGE) ## Write the manual pages to build/man
	@$(BIN)/luna man --to build/man/man1

install: debian-run $(RUNTIME) $(LLAMA) ## Install as a systemd service (DESTDIR=..., WITH_MODELS=no)
	@DESTDIR=$(DESTDIR) sh $(SETUP)/install.sh $(abspath $(BIN)/python) $(WHEELS) $(abspath build/install)

uninstall: ## Remove what `make install` installed; data stays (PURGE=1 removes it)
	@DESTDIR=$(DESTDIR) PURGE=$(PURGE) sh $(SETUP)/uninstall.sh

deb: debian-run $(RUNTIME) ## Build a Debian package for this kind of machine in build/
	@sh $(SETUP)/debian_packages.sh dpkg-dev
	@$(BIN)/python -m image_build.deb --cache $(WHEELS) --out build \
	    --llama-wheel "$$(sh $(SETUP)/llama_wheel.sh $(abspath $(BIN)/python) $(WHEELS) portable)"

TARGET      ?= virt-amd64
MODELS      ?= included
IMAGES      := build/images
MACHINE     := $(if $(filter %amd64,$(TARGET)),x86_64,aarch64)
DEBIAN_IMAGE := mmdebstrap mtools dosfstools fdisk e2fsprogs kmod systemd
DEBIAN_virt-amd64 := qemu-system-x86 ovmf
DEBIAN_virt-arm64 := qemu-system-arm qemu-efi-aarch64
# For another kind of machine than this one: its programs are run, and llama.cpp is compiled for it.
DEBIAN_CROSS := qemu-user-static binfmt-support arch-test
DEBIAN_FOR_aarch64 := $(DEBIAN_CROSS) crossbuild-essential-arm64
DEBIAN_FOR_x86_64  := $(DEBIAN_CROSS) crossbuild-essential-amd64
DEBIAN_IMAGE += $(DEBIAN_$(TARGET)) $(if $(filter $(shell uname -m),$(MACHINE)),,$(DEBIAN_FOR_$(MACHINE)))

image: debian-run $(RUNTIME) $(PACKAGE) $(if $(filter included,$(MODELS)),$(WEIGHTS)) ## Build a bootable image, as root (TARGET=virt-amd64|virt-arm64|pi5 MODELS=included|firstboot)
	@sh $(SETUP)/debian_packages.sh $(DEBIAN_IMAGE)
	@$(BIN)/python -m image_build $(TARGET) --models $(MODELS) --models-dir $(MODELS_DIR) \
	    --cache $(LUNA_CACHE)/images --out $(IMAGES) $(if $(filter yes,$(LOCKED)),--locked) $(ARGS) \
	    --llama-wheel "$$(sh $(SETUP)/llama_wheel.sh $(abspath $(BIN)/python) $(WHEELS) portable $(MACHINE))"

boot-image: ## Start the image in QEMU; its console is this terminal, Ctrl+A X ends it (TARGET=...)
	@sh $(SETUP)/debian_packages.sh $(DEBIAN_$(TARGET))
	@$(BIN)/python -m image_build.qemu $(IMAGES)/luna-$(TARGET).img

bundle: ## Pack the image that was built into a signed update, as root (KEY=FILE TARGET=...)
	@test -n "$(KEY)" || { echo "Whose update is it? make bundle KEY=FILE; see docs/updates.md" >&2; exit 2; }
	@$(BIN)/python -m image_build.make_bundle pack $(TARGET) --root $(IMAGES)/$(TARGET).work/root \
	    --key $(KEY) --out $(IMAGES)/luna-$(TARGET).luna $(ARGS)

setup: debian-run $(RUNTIME) $(LLAMA) $(PACKAGE) $(SYSTEMD) $(WEIGHTS) ## Install what is missing to run

setup-test: debian-run debian-test $(DEV) $(LLAMA) $(PACKAGE) $(SYSTEMD) $(TEST_WEIGHTS) ## ... and to test

debian-run:
	@sh $(SETUP)/debian_packages.sh $(DEBIAN_RUN)

debian-test:
	@sh $(SETUP)/debian_packages.sh $(DEBIAN_TEST) $(DEBIAN_IMAGE)

$(VENV_DONE): | debian-run
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Luna needs Python 3.11 or newer")'
	@$(BIN)/python -c 'import pip' 2>/dev/null \
	    || { echo "Making the Python environment ..."; $(PYTHON) -m venv --clear $(VENV); }
	@mkdir -p $(STAMPS) && touch $@

$(BUILD): | $(VENV_DONE)
	@echo "Installing the build tools ..."
	@sh $(SETUP)/python_packages.sh $(BIN)/python requirements/build.txt
	@$(call done,build) $@

$(RUNTIME): | $(BUILD)
	@echo "Installing the Python packages ..."
	@sh $(SETUP)/python_packages.sh $(BIN)/python requirements/runtime.txt
	@$(call done,runtime) $@

$(DEV): | $(BUILD)
	@echo "Installing the Python packages for tests and lint ..."
	@sh $(SETUP)/python_packages.sh $(BIN)/python requirements/dev.txt
	@$(call done,runtime) $(RUNTIME) && $(call done,dev) $@

$(LLAMA): | $(BUILD)
	@sh $(SETUP)/llama_wheel.sh $(abspath $(BIN)/python) $(WHEELS)
	@$(call done,llama) $@

$(PACKAGE): | $(BUILD)
	@$(PIP) install --quiet --no-deps --no-index --no-build-isolation --editable .
	@$(call done,package) $@

# Optional: Luna logs to standard error without it.
$(SYSTEMD): | $(BUILD)
	@$(PIP) install --quiet --no-deps --no-build-isolation --require-hashes \
	    -r requirements/systemd.txt >/dev/null 2>&1 \
	    || echo "systemd-python was not built (it needs libsystemd-dev and pkg-config); going on without."
	@$(call done,systemd) $@

$(WEIGHTS): | $(RUNTIME) $(PACKAGE)
	@echo "Installing the models into $(MODELS_DIR) ..."
	@$(BIN)/python -m appliance.models.install
	@rm -f $(MODELS_DIR)/.installed-run-* && touch $@

$(TEST_WEIGHTS): | $(DEV) $(PACKAGE)
	@echo "Installing the models into $(MODELS_DIR) ..."
	@$(BIN)/python -m appliance.models.install --test
	@rm -f $(MODELS_DIR)/.installed-* && touch $(WEIGHTS) $@

lock: $(DEV) ## Resolve the Python packages anew and write their hashes (LOCK_ARGS="--upgrade")
	@for name in runtime dev build systemd; do \
	    echo "Locking requirements/$$name.txt ..."; \
	    $(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	        --no-header --no-annotate --no-emit-index-url --no-emit-find-links $(LOCK_ARGS) \
	        requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done

clean: ## Remove what was made in this folder (the cache stays)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
