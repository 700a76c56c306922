# Two commands do all the set-up: `make demo` and `make test`. `make` alone explains them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

SWIFT ?= swift
BUILD := .build
ASSAY := $(BUILD)/release/assay
VENV  := $(BUILD)/python
TEXT  := $(BUILD)/demo/bible.txt
HOME_OF_DEMO := $(BUILD)/demo/localnet
WINDOWS ?= 12
INPUTS ?= 10000000
SEED ?= 1
SECONDS ?= 600

# Root needs no sudo; everybody else does.
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
APT := libsecp256k1-dev libssl-dev libsqlite3-dev libzstd-dev
APT_DEMO := bible-kjv bible-kjv-text
APT_TEST := python3-venv curl

.PHONY: help demo test fuzz chaos build packages packages-demo packages-test clean

help:
	@echo "Assay trains a language model together with people you do not trust."
	@echo
	@echo "  make demo    installs what it needs, builds, and runs a local network of 4 validators, 3 honest"
	@echo "               trainers, 1 lazy one and 1 copycat on the King James Bible for $(WINDOWS) windows."
	@echo "               Another text: make demo DATA=FILE.   More or fewer windows: make demo WINDOWS=20."
	@echo "  make test    installs what the tests need (also a Python environment in $(VENV)), builds, runs them all."
	@echo
	@echo "  make chaos   a network whose validators are killed, stopped, parted, wiped and filled for SECONDS=$(SECONDS), by SEED=$(SEED)"
	@echo "  make fuzz    the decoders under INPUTS=$(INPUTS) broken inputs a suite, by SEED=$(SEED): Docs/Fuzzing.md"
	@echo
	@echo "  make build   only the program: $(ASSAY)"
	@echo "  make clean   removes what was built and what the demo left"

# apt is asked only for what is missing, so that a machine without network can go on building.
define install
	@missing=""; for p in $(1); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then echo "Installing$$missing"; $(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq $$missing >/dev/null; fi
endef

packages:
	@command -v $(SWIFT) >/dev/null || { echo "Swift 6.1 or later is needed: see https://www.swift.org/install/linux/"; exit 1; }
	$(call install,$(APT))

packages-demo: packages
	$(call install,$(APT_DEMO))

packages-test: packages
	$(call install,$(APT_DEMO) $(APT_TEST))

# One release build serves the program and the tests.
build: packages
	$(SWIFT) build -c release --product assay

demo: packages-demo build
	@mkdir -p $(BUILD)/demo
	@[ -n "$(DATA)" ] || [ -s $(TEXT) ] || bible -f gen1:1-rev22:21 | sed 's/^[^ ]* //' > $(TEXT)
	@rm -rf $(HOME_OF_DEMO)
	@sync # what the build wrote shall not hold up the first windows' own writes
	@$(ASSAY) localnet up --home $(HOME_OF_DEMO) --validators 4 --trainers 3 --adversaries lazy,copycat \
	    --windows $(WINDOWS) --data $(if $(DATA),$(DATA),$(TEXT))

$(VENV)/.installed: Tests/Python/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r Tests/Python/requirements.txt
	@touch $@

# What fills the cores, or measures, runs by itself.
test: packages-test $(VENV)/.installed
	@mkdir -p $(BUILD)/demo
	@[ -s $(TEXT) ] || bible -f gen1:1-rev22:21 | sed 's/^[^ ]* //' > $(TEXT)
	$(SWIFT) build -c release --build-tests --explicit-target-dependency-import-check error
	$(TEST_ENVIRONMENT) $(SWIFT) test -c release --skip-build --skip EdgeTests --skip SwarmTests
	$(TEST_ENVIRONMENT) $(SWIFT) test -c release --skip-build --filter SwarmTests
	$(TEST_ENVIRONMENT) $(SWIFT) test -c release --skip-build --filter EdgeTests --skip EdgeFuzzTests --skip ConsensusBenchTests --skip SyncBenchTests --skip PruningTests --skip ChaosTests
	$(TEST_ENVIRONMENT) $(SWIFT) test -c release --skip-build --filter 'EdgeFuzzTests|PruningTests|ChaosTests' --no-parallel
	$(TEST_ENVIRONMENT) $(SWIFT) test -c release --skip-build --filter 'ConsensusBenchTests|SyncBenchTests' --no-parallel

chaos: packages-demo build
	@mkdir -p $(BUILD)/demo
	@[ -s $(TEXT) ] || bible -f gen1:1-rev22:21 | sed 's/^[^ ]* //' > $(TEXT)
	@$(ASSAY) localnet chaos --data $(if $(DATA),$(DATA),$(TEXT)) --seconds $(SECONDS) --seed $(SEED)

fuzz: packages
	$(SWIFT) build -c release --build-tests
	ASSAY_FUZZ_INPUTS=$(INPUTS) ASSAY_FUZZ_SEED=$(SEED) $(SWIFT) test -c release --skip-build --filter 'FuzzTests/'

# The Edge's tests keep real processes and connections waiting, so they have the machine to themselves.
TEST_ENVIRONMENT = ASSAY_PYTHON=$(abspath $(VENV)/bin/python) ASSAY_PROGRAM=$(abspath $(ASSAY)) ASSAY_TEXT=$(abspath $(TEXT))

clean:
	rm -rf $(BUILD)
