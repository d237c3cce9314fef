# `make demo`, `make test` and `make docs` need Python 3.11 to 3.13 with venv, and nothing else. With PYTHON=python3.13
# they take that one, in a folder of its own; TESTS= are further arguments of pytest.
PYTHON ?= python3
VERSION := $(shell $(PYTHON) -c "import sys; print('%d.%d' % sys.version_info[:2])")
VENV := .venv$(if $(filter file,$(origin PYTHON)),,-$(VERSION))
BIN := $(VENV)/bin
# JAX 0.11 left Python 3.11: two stacks, each pinned.
CONSTRAINTS := $(if $(filter 3.11 3.12,$(VERSION)),constraints.txt,constraints-py313.txt)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS)
TESTS ?=

.PHONY: install test demo demo-hosts lint docs docs-test report-test torch-test sklearn-matrix clean

install: $(VENV)/.installed

test: $(VENV)/.installed
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(TESTS)

demo: $(VENV)/.installed
	$(BIN)/taut fit digits

# One model fitted by two processes, as two machines would; PORT= is where they meet.
PORT ?= 6000
TOGETHER = $(BIN)/taut fit digits --hosts 127.0.0.1:$(PORT) --host-count 2

demo-hosts: $(VENV)/.installed
	@$(TOGETHER) --host-index 1 & $(TOGETHER) --host-index 0; status=$$?; wait; exit $$status

# Any warning, and any block on a page that raises, ends the build. Each job reads a share of the pages: more than
# there are cores, so that one with long pages is not waited for.
docs: $(VENV)/.docs
	$(BIN)/sphinx-build --jobs 6 --fail-on-warning --quiet docs docs/_build/html
	@echo "docs/_build/html/index.html"

# Building the pages runs every block of them and follows every link within.
docs-test: docs

# The report in a browser: needs Chromium, and npm for axe-core, which judges accessibility.
CHROMIUM ?= $(shell command -v chromium || command -v google-chrome)
report-test: $(VENV)/.browser
	TAUT_CHROMIUM=$(CHROMIUM) TAUT_AXE=$(VENV)/axe/package/axe.min.js $(BIN)/python -m pytest browser

# PyTorch modules as encoders, decoders and classifiers: needs PyTorch.
torch-test: $(VENV)/.torch
	$(BIN)/python -m pytest pytorch

# Every check of scikit-learn on every estimator, on each version in a folder before the installed one.
sklearn-matrix: $(VENV)/.installed
	for version in 1.6.1 1.8.0 1.9.0; do \
	  $(BIN)/python -m pip install --quiet --no-deps --target $(VENV)/sklearn-$$version \
	    scikit-learn==$$version && \
	  PYTHONPATH=$(VENV)/sklearn-$$version $(BIN)/python benchmarks/scikit_checks.py || exit 1; \
	done

lint: $(VENV)/.linters
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable ".[test]"
	touch $@

$(VENV)/.linters: $(VENV)/.installed
	$(INSTALL) --editable ".[dev]"
	touch $@

$(VENV)/.docs: $(VENV)/.installed
	$(INSTALL) --editable ".[docs]"
	touch $@

$(VENV)/.browser: $(VENV)/.installed
	$(INSTALL) "playwright>=1.50"
	mkdir -p $(VENV)/axe
	cd $(VENV)/axe && npm pack --silent axe-core@4 && tar xf axe-core-4.*.tgz package/axe.min.js
	touch $@

$(VENV)/.torch: $(VENV)/.installed
	$(INSTALL) --editable ".[torch]"
	touch $@

clean:
	rm -rf .venv .venv-* docs/_build
