# Everything a person does with this project. Paths are relative, so the folder may stand under a path with blanks.
#
#   make run      install the product, start everything, run the example, say how it ended; stays up until Ctrl-C
#   make demo     run the examples one after another, and kill the engine in the longest
#   make believe  kill the engine again and again under load; an independent ledger counts what was lost or doubled
#   make check    format, lint, types, import contracts, unit and architecture tests
#   make test     every test, with coverage and its gates; fails when it takes longer than 40 minutes at the usual speed
#   make chaos    real processes: power cuts, full and failing disks, drains, clock jumps, services that misbehave
#   make sim      the seeded simulation of one seed: make sim SEED=7
#   make bench    the workloads against this engine: make bench PEERS=restate,dbos alternates with others
#   make figures  every promise with a number, in the length of a release, into bench/results: make figures ONLY="F01 F03"
#   make clean    remove what the targets above wrote, the data folder apart
#
# FLOW_PLANT=<name> before a target runs it in a copy of the tree with the bug of tests/planted/NN-<name>.patch.

SHELL := /bin/sh
.DEFAULT_GOAL := run
PYTHON := .venv/bin/python
SEED ?= 1
PEERS ?=
ONLY ?=
BENCH_ARGS ?=
TARGETS := run demo believe check test chaos sim bench figures
# The folders of Python that exist; mypy refuses one without a module.
TYPED := $(patsubst %/,%,$(sort $(dir $(wildcard $(addsuffix /*.py,core driver_adapters driven_adapters module pkg mock_server examples tests bench)))))
# Folders of `make check`'s tests; tests/typing is proved by mypy and may hold no function to run.
QUICK_TESTS := $(wildcard tests/unit tests/arch tests/typing)

.PHONY: $(TARGETS) check-static check-tests clean install install-dev programs

ifneq ($(strip $(FLOW_PLANT)),)

$(TARGETS): install-dev
	@$(PYTHON) -m tests.planted "$(FLOW_PLANT)" -- $@ $(MAKEOVERRIDES)

else

run: install
	@$(PYTHON) -m module.main example

demo: install
	@$(PYTHON) examples/demo.py

believe: install-dev
	@$(PYTHON) -m tests.chaos.believe

# Two halves beside each other: what reads the code, and what runs it.
check: install-dev
	@$(MAKE) --no-print-directory -j2 check-static check-tests

check-static:
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m mypy --strict $(TYPED)
	@.venv/bin/lint-imports

check-tests:
	@$(PYTHON) -m pytest $(QUICK_TESTS)

test: install-dev programs
	@$(PYTHON) -m tests.gate

chaos: install-dev programs
	@$(PYTHON) -m tests.chaos

sim: install-dev
	@$(PYTHON) -m tests.sim --seed "$(SEED)"

bench: install-dev programs
	@PEERS="$(PEERS)" $(PYTHON) -m bench $(BENCH_ARGS)

figures: install-dev programs
	@$(PYTHON) -m tests.release $(ONLY)

endif

install:
	@.ci/install run

install-dev:
	@.ci/install dev

programs:
	@.ci/programs

# bench/results stays: it is committed.
clean:
	@rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
