# `make demo` and `make test` are all a newcomer needs: each installs what it needs into .venv itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLDEST := 2.31.0
BETWEEN := 2.54.0 3.4.0
LITELLM := 1.106.2
# What these test is the same with every SDK: once is enough.
KNOW_NO_SDK := $(wildcard tests/benchmarks tests/catalog tests/control tests/fuzz tests/keeper tests/loading tests/settings tests/testing/entra tests/testing/vault) \
	$(filter-out $(wildcard tests/cli/test_ping* tests/cli/test_d*),$(wildcard tests/cli/test_*))
# What instructor, a recipe beside openai 2, wants older ones of than the newest have.
SPLIT := jiter|rich
# PIP_ARGS is for whoever needs another index, a proxy or a cache.
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check $(PIP_ARGS)

.PHONY: help demo test test-newest test-oldest test-versions stress outage bench bench-full bench-configuration bench-clients bench-command-line bench-injection bench-catalog simulation check format constraints clean

# Virtual environments are kept, although nobody names them as a goal.
.SECONDARY:

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A virtual environment per SDK: .venv has the newest, .venv-2.31.0 the SDK of that version.
$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "installing tenantry and its tools into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(PIP_INSTALL) --constraint constraints.txt pip
	@$(BIN)/python $(PIP_INSTALL) --constraint constraints.txt --editable '.[all]' --group dev
	@touch $@

# What docs/recipes.md hands clients to is large, and no demo needs it.
$(VENV)/.recipes: $(VENV)/.installed
	@$(BIN)/python $(PIP_INSTALL) --constraint constraints.txt --group recipes-openai-3
	@touch $@

.venv-%/.installed: pyproject.toml constraints.txt
	@echo "installing tenantry with openai $* into .venv-$*"
	@$(PYTHON) -m venv .venv-$*
	@grep -vE '^(openai|$(SPLIT))==' constraints.txt > .venv-$*/constraints.txt
	@.venv-$*/bin/python $(PIP_INSTALL) --constraint .venv-$*/constraints.txt pip
	@.venv-$*/bin/python $(PIP_INSTALL) --constraint .venv-$*/constraints.txt 'openai==$*' --editable '.[all]' --group dev --group recipes-openai-$(firstword $(subst ., ,$*))
	@touch $@

# litellm pins what we do not: it has an environment of its own, without tenantry.
.venv-litellm/.installed: Makefile
	@echo "installing litellm $(LITELLM) into .venv-litellm"
	@$(PYTHON) -m venv .venv-litellm
	@.venv-litellm/bin/python $(PIP_INSTALL) 'litellm==$(LITELLM)'
	@touch $@

demo: $(VENV)/.installed ## Run the main job on embedded servers: no account, no network
	@$(BIN)/tenantry demo $(DEMO_ARGS)

test: test-newest test-oldest ## Run the tests on the newest and the oldest SDK

test-newest: $(VENV)/.recipes
	@echo "tests on $$($(BIN)/python -c 'import openai; print("openai", openai.__version__)')"
	@$(BIN)/python -m pytest -m 'not stress' -n 2 -p no:langsmith_plugin --cov --cov-report=term --cov-fail-under=95 $(TEST_ARGS)

test-oldest: test-on-$(OLDEST)

test-on-%: .venv-%/.installed
	@echo "tests on openai $*"
	@.venv-$*/bin/python -m pytest -m 'not stress' -n 2 -p no:cacheprovider $(KNOW_NO_SDK:%=--ignore=%) $(TEST_ARGS)

test-versions: test $(BETWEEN:%=test-on-%) ## Run the tests on every SDK that we name

stress: $(VENV)/.installed ## Run the races, forks and soaks
	@$(BIN)/python -m pytest -m stress --timeout 600 $(TEST_ARGS)

outage: $(VENV)/.installed ## Whose calls fail while an issuer is down?
	@$(BIN)/python -m benchmarks.outage

bench: $(VENV)/.installed ## As fast as promised? BENCH_ARGS=--write writes docs/performance.md
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-full: $(VENV)/.installed .venv-litellm/.installed ## The same, for longer and beside litellm
	@$(BIN)/python -m benchmarks --full $(BENCH_ARGS)

bench-configuration: $(VENV)/.installed ## How long do ten thousand tenants take to load?
	@$(BIN)/python -m benchmarks.configuration $(BENCH_ARGS)

bench-clients: $(VENV)/.installed ## What do ten thousand built clients take?
	@$(BIN)/python -m benchmarks.clients $(BENCH_ARGS)

bench-command-line: $(VENV)/.installed ## What do commands take beside what they cannot do without?
	@$(BIN)/python benchmarks/command_line.py $(BENCH_ARGS)

bench-injection: $(VENV)/.installed ## What does an injected client cost an endpoint?
	@$(BIN)/python benchmarks/injection.py $(BENCH_ARGS)

bench-catalog: $(VENV)/.installed ## What do a million tenants in PostgreSQL take?
	@$(BIN)/python -m benchmarks.catalog $(BENCH_ARGS)

simulation: $(VENV)/.installed ## What do Vault and Entra have to answer for a whole fleet?
	@$(BIN)/python -m benchmarks.fleet_simulation $(BENCH_ARGS)

check: $(VENV)/.installed ## Lint, types and the floors of the house
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/pyright
	@$(BIN)/lint-imports --no-cache

format: $(VENV)/.installed ## Format and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

constraints: $(VENV)/.recipes .venv-$(OLDEST)/.installed ## Write down what is installed
	@# What only the oldest SDK needs, such as httpx, is pinned beside what the newest has.
	@for venv in $(VENV) .venv-$(OLDEST); do \
		$$venv/bin/python -m pip freeze --all --exclude-editable; \
	done | awk -F == '!seen[tolower($$1)]++' | sort -f > .constraints.new
	@mv .constraints.new constraints.txt

clean: ## Remove what was built and installed
	rm -rf .venv .venv-* build dist .coverage* .mypy_cache .pytest_cache .ruff_cache
