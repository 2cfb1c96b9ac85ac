# The commands of this repository. `make` alone lists them.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# A name may hold quotes, spaces and dollars: it is passed on as it was typed, and read by the recipe from its environment.
override export INPUT := $(value INPUT)
override export OUTPUT := $(value OUTPUT)
override export SCALE := $(value SCALE)
override export MODEL := $(value MODEL)
override export ARGS := $(value ARGS)
override export CLIP := $(value CLIP)
override export DIR := $(value DIR)

PYTHON := .venv/bin/python
# A download may break off in the middle, which pip itself does not try again; what it has by then, it does not fetch twice.
INSTALL = for try in 1 2 3; do \
		if $(PYTHON) -m pip install --quiet --disable-pip-version-check --retries 10 --timeout 60 -r $(1); then break; fi; \
		if [ $$try = 3 ]; then exit 1; fi; \
		echo "Not everything was installed: trying again" >&2; sleep 5; \
	done
# Tests that share nothing run side by side, a file in one process.
QUICK := $(PYTHON) -m pytest -m 'not live' -n auto --dist loadfile
EMBEDDED := PYTHONPATH=.:plugins $(PYTHON) -m sr_embedded

.PHONY: help setup enhance up down status test test-quick fuzz check bench calibrate golden drill gpu-check clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: .venv/.dev ## Set up .venv with everything, tests and checks included

enhance: .venv/.runtime ## Enlarge one video through Airflow: INPUT=clip.mp4 [OUTPUT=out.mp4] [SCALE=2] [MODEL=name]
	@exec env $(EMBEDDED) enhance --scale "$$SCALE" --model "$$MODEL" -- "$$INPUT" "$$OUTPUT"

up: .venv/.runtime ## Start Airflow and the page for people, and leave them running
	@exec env $(EMBEDDED) up

down: .venv/.runtime ## Stop Airflow and every process of it
	@exec env $(EMBEDDED) down

status: .venv/.runtime ## Say whether Airflow runs, where, and at which jobs
	@exec env $(EMBEDDED) status

test: .venv/.dev ## Run the whole test suite (ARGS="-k name" for a part)
	@if [ -n "$$ARGS" ]; then eval "exec $(PYTHON) -m pytest $$ARGS"; fi; \
	$(QUICK) && exec $(PYTHON) -m pytest -m live

test-quick: .venv/.dev ## Run the tests that need no Airflow, no server and no browser
	@eval "exec $(QUICK) $$ARGS"

fuzz: .venv/.dev ## Take 2000 mutated files of every container through whole jobs (ARGS="FIRST COUNT" for others)
	@eval "exec nice $(PYTHON) -m tests.fuzz $$ARGS"

check: .venv/.dev ## Format, lint, types, import walls, spelling
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy --strict sr_tasks plugins
	PYTHONPATH=plugins .venv/bin/lint-imports
	.venv/bin/codespell

bench: .venv/.dev ## Measure speed, memory and quality against the figures to reach (CLIP=own.mp4)
	@eval "exec $(PYTHON) -m tests.bench $$ARGS"

calibrate: .venv/.dev ## Measure what the quality gate refuses and catches on generated clips (ARGS="--every 8" for some)
	@eval "exec $(PYTHON) -m tests.quality.calibrate $$ARGS"

golden: .venv/.dev ## Measure models on your own clips (DIR=own ARGS="compact-x2 quality-x2")
	@eval "exec nice $(PYTHON) -m sr_tasks models golden -- \"\$$DIR\" $$ARGS"

drill: .venv/.dev ## Raise every alert by its fault on a real Airflow, and do what its runbook says (ARGS="SrDiskLow" for some)
	@eval "exec env PYTHONPATH=.:plugins $(PYTHON) -m tests.monitoring.drill $$ARGS"

gpu-check: .venv/.runtime ## On a machine with an NVIDIA GPU, prove the CUDA and TensorRT providers (MODEL=compact-x2)
	@exec env PYTHONPATH=. $(PYTHON) -m sr_tasks.commands.gpu_check $(if $(MODEL),"$$MODEL")

clean: ## Stop Airflow and remove everything that was made, but out/
	@if [ -x $(PYTHON) ] && [ -d .airflow ]; then $(EMBEDDED) down; fi
	rm -rf .venv .airflow .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage

.venv/.runtime: requirements.txt
	@set -e; \
	for python in python3.11 python3.12 python3.13 python3; do \
		if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then found="$$python"; break; fi; \
	done; \
	if [ -z "$${found-}" ]; then \
		echo "Python 3.11, 3.12 or 3.13 is needed, and none of python3.11, python3.12, python3.13, python3 is one." >&2; exit 1; \
	fi; \
	$(PYTHON) -m pip --version >/dev/null 2>&1 || { \
		echo "Setting up .venv with $$found (once, some minutes)"; "$$found" -m venv --clear .venv; \
	}; \
	$(call INSTALL,requirements.txt); \
	touch $@

.venv/.dev: requirements-dev.txt .venv/.runtime
	@$(call INSTALL,requirements-dev.txt)
	@touch $@
