# Everything a contributor types. Each target makes the virtual environment it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
SEEDS ?= 300
MINUTES ?= 60

.PHONY: run test test-sqlalchemy form check simulate simulate-mutants exactly-once faults faults-hunt soak stubs configuration docs bench bench-core clean
.DEFAULT_GOAL := check

# The group dev holds the group ecosystem too (SQLAlchemy, Alembic, pandas, Polars): a minute once.
$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

run: $(STAMP) ## a three-node cluster on this machine and a prompt
	$(BIN)/raftsql up --shell

test: $(STAMP) ## all tests
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

test-sqlalchemy: $(STAMP) ## SQLAlchemy's dialect suite on a cluster of three, blocking and asyncio
	$(BIN)/python -m tests.sqlalchemy.suite
	$(BIN)/python -m tests.sqlalchemy.suite --aio

form: $(STAMP) ## format, lint, types, layers and stubs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=.:driver:shell:proto $(BIN)/lint-imports --no-cache
	$(BIN)/python tools/genproto.py --check

check: form ## form, and all but the longest tests: what has to be green before a commit
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not long"

simulate: $(STAMP) ## the Raft simulator, SEEDS=300
	$(BIN)/python -m tests.simulator --seeds $(SEEDS)

simulate-mutants: $(STAMP) ## every planted bug, and the seed that catches it
	$(BIN)/python -m tests.simulator --mutants

exactly-once: $(STAMP) ## lost answers and killed leaders under load, MINUTES=60
	$(BIN)/python -m tests.driver.exactly_once --minutes $(MINUTES)

faults: $(STAMP) ## real processes, real faults, checked histories, MINUTES=60
	$(BIN)/python -m tests.faults --mixed --minutes $(MINUTES) --report build/faults

faults-hunt: $(STAMP) ## the bugs planted into real nodes, and the seed that finds each
	$(BIN)/python -m tests.faults --hunt --weaker

soak: $(STAMP) ## steady load, and nothing grows, SOAK_MINUTES=30
	$(BIN)/python -m tests.faults.soak --minutes $(or $(SOAK_MINUTES),30) --json build/soak.json --plot build/soak.svg

stubs: $(STAMP) ## generate proto/raftsql_proto again
	$(BIN)/python tools/genproto.py

configuration: $(STAMP) ## write the tables of the documents that the code defines again
	PYTHONPATH=. $(BIN)/python tools/genconfig.py
	PYTHONPATH=. $(BIN)/python tools/genreference.py
	PYTHONPATH=. $(BIN)/python tools/gencomparison.py

docs: $(STAMP) ## the documentation as pages, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(STAMP) ## raftsql and its peers in one run; RQLITED=path, ONLY=writes,reads
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY)) $(if $(RQLITED),--rqlited $(RQLITED)) \
		--json benchmarks/results/bench.json --plots benchmarks/results

bench-core: $(STAMP) ## the Raft core alone, in memory
	$(BIN)/python -m benchmarks.core

clean:
	rm -rf $(VENV) site .mypy_cache .ruff_cache .pytest_cache .hypothesis
