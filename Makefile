# Everything lives in .venv, made on first use; nothing but Python 3.11+ and make is needed beforehand.
#   make test     the whole test-suite
#   make board    are the estimates of every sampler unbiased, do all bounds hold? some minutes
#   make demo     JSON by a schema, masking beside the truth, two pictures: some seconds once it is installed
#   make clean    remove .venv and every build product

candidates := python3 python3.14 python3.13 python3.12 python3.11
recent = $(1) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
PYTHON ?= $(shell for p in $(candidates); do $(call recent,$$p) && { echo $$p; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
# The constraints bind the isolated build environment as well.
INSTALL := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet

.PHONY: test board demo clean
.DELETE_ON_ERROR:

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest $(PYTEST_ARGS)

board: $(VENV)/dev.stamp
	$(BIN)/python -m tests.samplers.board $(BOARD_ARGS)

demo: $(VENV)/demo.stamp
	$(BIN)/python examples/demo.py

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo 'scansion needs Python 3.11 or newer: make PYTHON=/path/to/python3' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/dev.stamp: pyproject.toml constraints.txt grammars/provenance.py | $(VENV)/bin/python
	$(INSTALL) --editable '.[dev,hf]'
	@touch $@

$(VENV)/demo.stamp: pyproject.toml constraints.txt grammars/provenance.py | $(VENV)/bin/python
	$(INSTALL) --editable .
	@touch $@

clean:
	rm -rf $(VENV) build demo dist .pytest_cache .hypothesis .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
