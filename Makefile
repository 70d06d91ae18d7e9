# Headrace. `make run` starts the example company, `make test` runs every test, `make stop` stops what `make run` started.

HEADRACE := .venv/bin/headrace
PYTHON   := .venv/bin/python
# Orders a second of the example's generator; one order is some 20 changes.
RATE     ?= 2
export HEADRACE_STARTED := $(shell date +%s)

.PHONY: help setup run stop test unit engine e2e lint audit manifests bench chaos soak dashboards clean

help:
	@sed -n 's/^\([a-z0-9]*\):.*## /\1\t/p' Makefile | expand -t 12

setup: ## environments, jars and servers; quick when they are there
	@sh headrace/local/bootstrap.sh

run: setup ## all set-up, then the example company runs; ends with views, alerts and addresses, and stays up
	@$(HEADRACE) up --prepare "$(PYTHON) -m demo --prepare" --keep demo="$(PYTHON) -m demo --forever --rate $(RATE)" \
		--keep partner="$(PYTHON) -m demo --serve"
	@$(PYTHON) -m headrace.local.welcome

stop: ## stop what `make run` started; data stays
	@test ! -x $(HEADRACE) || $(HEADRACE) down

# Tests work in a folder and on ports of their own, so that a running `make run` is not touched.
define tests
	@folder=$$(mktemp -d "$${TMPDIR:-/tmp}/headrace-tests-XXXXXX"); \
	trap '$(PYTHON) -m headrace.local.sweep "$$folder"; rm -rf "$$folder"' EXIT; trap 'exit 130' INT TERM; \
	HEADRACE_TESTS_FOLDER="$$folder" $(PYTHON) -m pytest -q --durations=15 $(1)
endef

# One kind after the other: the servers of one are gone before the next begins. Files of tests are run in two processes,
# each with servers of its own: most of their time is waiting.
HALVES := -n 2 --dist loadfile
# Takes the whole machine, and says how long alerts take without what is lost.
ALONE := tests/engine/local/test_cluster.py

test: setup lint ## all set-up, then every test; stops what it started
	$(call tests,$(HALVES) tests/unit)
	$(call tests,$(HALVES) --ignore=$(ALONE) tests/engine)
	$(call tests,$(ALONE))
	$(call tests,tests/e2e)

unit: setup ## tests without an engine
	$(call tests,$(HALVES) tests/unit)

engine: setup ## tests with one real engine
	$(call tests,$(HALVES) --ignore=$(ALONE) tests/engine)
	$(call tests,$(ALONE))

e2e: setup ## tests of the whole platform
	$(call tests,tests/e2e)

lint: setup ## style and types
	@.venv/bin/ruff check -q .
	@.venv/bin/pyright -p . >/dev/null || .venv/bin/pyright -p .

manifests: setup ## custom resources of docker/kubernetes by their operators' definitions: CRDS=FOLDER of them, else fetched
	@$(if $(CRDS),,$(PYTHON) -m tests.manifests.fetch .tools/definitions)
	@HEADRACE_CRDS=$(abspath $(or $(CRDS),.tools/definitions)) $(PYTHON) -m pytest -q tests/manifests

audit: setup ## known vulnerabilities of every package and jar, asked of osv.dev
	@$(PYTHON) .ci/audit

bench: setup ## ratios against peers in the same run
	@for file in benchmarks/[a-z]*.py; do $(PYTHON) "$$file" || exit 1; done

chaos: setup ## faults drawn at random, each followed by proof: SEED=7 CELLS=6
	@$(PYTHON) -m tests.chaos --seed $(or $(SEED),1) $(if $(CELLS),--cells $(CELLS)) $(if $(RESUME),--resume $(RESUME)) \
		$(if $(ONLY),--only "$(ONLY)") $(if $(TIMES),--times $(TIMES)) $(if $(CLUSTER),--cluster)

soak: setup ## the example under load for MINUTES=30: what must not grow does not
	@$(PYTHON) -m tests.soak --minutes $(or $(MINUTES),30) $(if $(ORDERS),--orders $(ORDERS))

dashboards: setup ## Superset with the example's dashboard
	@sh headrace/local/bootstrap.sh dashboards
	@$(PYTHON) -m headrace.local.dashboards

clean: stop ## remove the example's data and logs; environments and jars stay
	@rm -rf .headrace lake/data
