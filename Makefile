# Four commands: `make demo` shows it, `make check` answers within a minute, `make test` proves it, and `make full` proves
# it in all combinations, before a version. Each sets up all that it needs.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
# Two for each core: tests of browsers and servers mostly wait.
WORKERS ?= $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN))
PARALLEL := --dist loadfile --no-loadscope-reorder
# The extra of packages that the tests get: `make full` takes all.
EXTRA := test
QUICK := not browser and not server and not slow
# Node.js is a package of the environment.
NPM := PATH="$(abspath $(BIN)):$$PATH" npm
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo check quick test full lint types built unit other-pythons quick-on-other-pythons on-other-pythons browser-side system full-system mutate format bench bench-fast gallery docs dist clean

demo: $(VENV)/.demo built
	$(BIN)/cookie-consent demo $(ARGS)

# Without it, each run and each worker would compile all tests anew.
unexport PYTHONDONTWRITEBYTECODE

# Lint, types and all quick tests.
check: $(VENV)/.dev
	@$(MAKE) --no-print-directory --jobs lint types quick

quick: $(VENV)/.dev built
	$(BIN)/python -m pytest --quiet -m "$(QUICK)" --ignore tests/browser \
		--hypothesis-profile=quick --numprocesses auto $(PARALLEL) $(ARGS)

# What stands for others runs: see tests/support/selection.py. What is not installed, and cannot be, is said at the end.
test: system
	@$(MAKE) --no-print-directory --jobs $(VENV)/.$(EXTRA) node_modules/.installed
	@$(MAKE) --no-print-directory --jobs lint types browser-side
	@$(MAKE) --no-print-directory unit

# Everything, in all combinations, on all Pythons: about an hour.
full: full-system
	FULL_MATRIX=1 $(MAKE) --no-print-directory EXTRA=full test
	FULL_MATRIX=1 $(MAKE) --no-print-directory EXTRA=full other-pythons

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.dev
	$(BIN)/mypy

browser-side: node_modules/.installed
	$(NPM) run --silent check

# The minified scripts and style sheets. They are committed, so this needs npm only where a source has changed.
built: $(VENV)/bin/python
	@$(BIN)/python -m tests.support.built 2>/dev/null || { \
		$(MAKE) --no-print-directory node_modules/.installed && $(NPM) run --silent build && $(BIN)/python -m tests.support.built; }

unit: $(VENV)/.test built
	$(BIN)/coverage erase
	$(BIN)/python -m pytest --cov --cov-report= --numprocesses $(WORKERS) $(PARALLEL) $(ARGS)
	$(BIN)/coverage report
	$(BIN)/python -m tests.support.floors

# The tests without a browser, on the oldest and the newest Python here: warnings are errors there too. Those that are
# marked `one_python` would say the same again.
other-pythons: TESTED := not browser and not one_python
other-pythons: VERSIONS := --constraint constraints.txt
other-pythons: system on-other-pythons

# The same for the quick tests alone, which need no system packages, and for one row of each. They run with what a fresh
# installation gets today: the newest version of each package.
quick-on-other-pythons: TESTED := $(QUICK) and not one_python
quick-on-other-pythons: EXTRA := dev
quick-on-other-pythons: ROWS := --one-row --ignore tests/browser --hypothesis-profile=quick
quick-on-other-pythons: VERSIONS := --upgrade --upgrade-strategy eager
quick-on-other-pythons: on-other-pythons

on-other-pythons: $(VENV)/.test built
	@for python in $$(.ci/other-pythons $(BIN)/python); do \
		version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])') && venv=$(VENV)-$$version && \
		echo "Python $$version" && $(BIN)/python -m virtualenv --quiet --python $$python $$venv && \
		$$venv/bin/python -m pip install --quiet --disable-pip-version-check $(VERSIONS) --editable '.[$(EXTRA)]' && \
		$$venv/bin/python -m pytest -m "$(TESTED)" $(ROWS) --numprocesses auto $(PARALLEL) $(ARGS) || exit 1; \
	done

# Do the tests of a room notice a change? In a copy of the checkout: see docs/mutation.md.
SAMPLE ?= 60
SECONDS ?= 900
mutate: $(VENV)/.mutation built
	rm -rf build/mutation && mkdir -p build/mutation
	git ls-files -z | xargs -0 cp --parents --target-directory build/mutation
	cd build/mutation && PYTHONPATH=$$PWD $(abspath $(BIN))/python -m tests.support.mutate $(SAMPLE) $(SECONDS) $(ROOM)

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.test built
	@.ci/system chromium postgres=postgresql
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.banner
	$(BIN)/python -m benchmarks.records

# Rough, in a quarter of a minute: what the middleware adds to a request.
bench-fast: $(VENV)/.test built
	$(BIN)/python -m benchmarks.overhead --quick

gallery: system $(VENV)/.test built
	$(BIN)/python -m tests.support.gallery

# The documentation as a site, in build/docs. ARGS="-b linkcheck" asks the servers of all other sites that it links to.
docs: $(VENV)/.docs
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --doctree-dir build/doctrees $(ARGS) docs build/docs
	@echo "Open build/docs/index.html"

# What is published, in dist: the source archive and the wheel, checked, and tried on the oldest and the newest Python
# here, with a list of what they need (CycloneDX). Run it in a clean checkout: see CONTRIBUTING.md.
dist: $(VENV)/.dist built
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	$(BIN)/python -m tests.support.distribution dist $(BIN)/python $$(.ci/other-pythons $(BIN)/python)
	$(BIN)/python -m tests.support.sbom dist

# From the system's own packages, where this user may install them.
system:
	@.ci/system chromium postgres=postgresql openssl

# What only the full matrix uses.
full-system: system
	@.ci/system firefox-esr goaccess java=default-jre-headless nginx varnishd=varnish promtool=prometheus

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name it with PYTHON=…"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[demo]'
	@touch $@

$(VENV)/.docs: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[docs]'
	@touch $@

$(VENV)/.dist: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[dist]'
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/.test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[test]'
	@touch $@ $(VENV)/.dev $(VENV)/.demo

$(VENV)/.full: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[full]'
	@touch $@ $(VENV)/.test $(VENV)/.dev $(VENV)/.demo $(VENV)/.dist $(VENV)/.docs

$(VENV)/.mutation: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[mutation]'
	@touch $@

# Without scripts: that of vnu-jar would fetch a Java of its own.
node_modules/.installed: package.json package-lock.json | $(VENV)/.$(EXTRA)
	$(NPM) ci --silent --no-audit --no-fund --ignore-scripts --fetch-timeout=60000
	@touch $@

clean:
	rm -rf $(VENV) $(VENV)-* node_modules .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist
