# Freshet: everything a newcomer needs is `make demo` and `make test`; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?=
PORT ?= 8000
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help venv dev demo stack stack-stop cluster-demo check format hooks test coverage faults bench abuse docs docs-serve lock sbom audit clean

help: ## list these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/.embedded: pyproject.toml requirements/embedded.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Freshet needs Python 3.11 or newer; say which with: make PYTHON=python3.11 ...")'
	@echo "Installing Freshet into $(VENV) (about a minute) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	@$(PIP) install -r requirements/embedded.txt
	@$(PIP) install --no-deps --editable .
	@$(BIN)/python -c "from serving.arrays import kernels; kernels.prepare()"
	@touch $@

$(VENV)/.dev: $(VENV)/.embedded requirements/dev.txt
	@echo "Installing the cluster's drivers and the test tools ..."
	@$(PIP) install -r requirements/dev.txt
	@touch $@

venv: $(VENV)/.embedded ## make .venv with the freshet command (embedded set: no Spark, no JVM)

dev: $(VENV)/.dev ## the same with the cluster's drivers and the test tools

demo: venv ## the sample store on http://127.0.0.1:8000 (DATA=folder for another data set, PORT=...)
	@$(BIN)/freshet demo $(DATA) --port $(PORT)

stack: dev ## start real Kafka, Redis and Cassandra on loopback ports, with topics and tables
	@$(BIN)/freshet stack start

stack-stop: dev ## end exactly what `make stack` started
	@$(BIN)/freshet stack stop

cluster-demo: dev ## the demo on Kafka, Redis, Spark and Cassandra, as separate processes
	@$(BIN)/freshet cluster-demo $(DATA) --port $(PORT)

check: dev ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: dev ## let ruff format and mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

hooks: dev ## run the checks of .pre-commit-config.yaml before each commit
	@$(BIN)/pre-commit install

test: dev ## every test; those that need a missing server are skipped and say what to install
	@$(BIN)/pytest -rs --numprocesses 2 --dist loadfile tests/unit
	@$(BIN)/pytest -rs --numprocesses 2 --dist loadfile --ignore tests/unit

coverage: dev ## the unit tests with coverage of lines and branches, as a table of the files that are not fully covered
	@$(BIN)/pytest --numprocesses 2 --dist loadfile --cov --cov-report=term tests/unit

faults: dev ## the fault table on real processes and servers, both stacks (about an hour); writes tests/faults/results/*.json
	@$(BIN)/python -m tests.faults

bench: dev ## measure freshness, throughput and quality; writes tests/bench/results/*.json
	@$(BIN)/python -m tests.bench

abuse: dev ## what one client can do to a site: worst stall, memory and disk of each abuse, on both stacks; part of bench
	@$(BIN)/python -m tests.bench abuse

docs: dev ## build the docs site into site/; a broken link or a page without a place in the navigation fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

docs-serve: dev ## the docs site on http://127.0.0.1:8030, rebuilt when a page changes
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve --dev-addr 127.0.0.1:8030

lock: ## pin the requirements anew (needs uv)
	uv pip compile -q --no-emit-index-url --no-header --python-version 3.11 pyproject.toml -o requirements/embedded.txt
	uv pip compile -q --no-emit-index-url --no-header --python-version 3.11 pyproject.toml --extra cluster -o requirements/cluster.txt
	uv pip compile -q --no-emit-index-url --no-header --python-version 3.11 pyproject.toml --extra cluster --extra ranker --extra dev -o requirements/dev.txt

sbom: ## the software bill of materials of a cluster's processes: dist/sbom.json, CycloneDX (needs cyclonedx-bom)
	@mkdir -p dist
	cyclonedx-py requirements requirements/cluster.txt --spec-version 1.5 --output-file dist/sbom.json

audit: ## known weaknesses of the pinned dependencies (needs pip-audit and its advisory service)
	pip-audit -r requirements/dev.txt --no-deps --disable-pip

clean: ## remove caches (data and .stack stay)
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage site
