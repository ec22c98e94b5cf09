PYTHON := .venv/bin/python
SOURCES = $(wildcard client server tests bench docs/examples)
TESTS ?= tests

# Without stored bytecode, each of the many processes of the tests would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run demo test test-quick soak check lint format types layers lock bench pictures clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.ready ## make the environment in .venv, which most targets need

# The lock file says which packages are in the environment. pyproject.toml only says how the project
# itself is installed.
.venv/.locked: requirements.lock
	@.ci/make-environment .venv requirements.lock
	@touch $@

.venv/.ready: .venv/.locked pyproject.toml
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv: .venv/.ready

run: .venv/.ready ## serve on 127.0.0.1:50051, on a database in .state
	@mkdir -p .state
	.venv/bin/generic-provider serve --listen 127.0.0.1:50051 --database sqlite:///.state/generic-provider.db

demo: .venv/.ready ## demonstrate the whole service, step by step
	.venv/bin/generic-provider demo

test: .venv/.ready ## all tests, or those of TESTS=tests/unit
	$(PYTHON) -m pytest -n auto $(TESTS)

QUICK = tests/unit tests/store tests/rpc/test_contract.py

test-quick: .venv/.ready ## unit tests, contract, the store on SQLite: 30 seconds
	$(PYTHON) -m pytest -n auto -m "not soak and not postgresql and not slow" $(QUICK)

soak: .venv/.ready ## long tests, on two PostgreSQL versions; ROUNDS=2: longer
	@.ci/soak

check: lint types layers verify lint-protos ## check lint, types, layers, stubs and contract

lint: .venv/.ready
	$(PYTHON) -m ruff check $(SOURCES)
	$(PYTHON) -m ruff format --check $(SOURCES)

types: .venv/.ready
	$(PYTHON) -m mypy $(SOURCES)

layers: .venv/.ready
	.venv/bin/lint-imports

format: .venv/.ready ## format, and fix what lint can fix
	$(PYTHON) -m ruff check --fix $(SOURCES)
	$(PYTHON) -m ruff format $(SOURCES)

bench: .venv/.ready ## measure; ARGUMENTS=--quick needs only two minutes
	PYTHONPATH=tests $(PYTHON) -m bench $(ARGUMENTS)

pictures: .venv-pictures/.ready ## draw docs/pictures from FILES="a.json …" of `make bench`
	.venv-pictures/bin/python -m bench.pictures docs/pictures $(FILES)

.venv-pictures/.ready: bench/pictures.lock
	@.ci/make-environment .venv-pictures bench/pictures.lock
	@touch $@

COMPILE = uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes \
    --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

lock: ## resolve the lock files again (needs uv)
	$(COMPILE) --extra server --extra uvloop --group dev --output-file requirements.lock pyproject.toml
	$(COMPILE) --output-file protos/generate.lock protos/generate.in
	$(COMPILE) --output-file bench/peers.lock bench/peers.in
	$(COMPILE) --output-file bench/pictures.lock bench/pictures.in

clean: ## remove what was built, but keep the data in .state
	rm -rf .venv .venv-* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +

-include protos/generate.mk
