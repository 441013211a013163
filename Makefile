# Two commands on a bare machine with Python 3.10 to 3.13: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# What the environment was made from; it is made again when one of these changes.
STAMP := $(VENV)/.installed
INPUTS := pyproject.toml setup.py constraints.txt rdedge/coding/rans.c rdedge/coding/rans.h rdedge/coding/dot.h rdedge/coding/spread.h rdedge/coding/context.c rdedge/coding/counts.c rdedge/coding/palette.c rdedge/coding/selection.c rdedge/coding/prediction.c rdedge/coding/quantiser.c rdedge/coding/trellis.c rdedge/format/crc32c.c

.PHONY: demo test long check lint aarch64 clean

demo: $(STAMP)
	$(BIN)/rdedge demo -o demo

test: $(STAMP)
	$(BIN)/python -m pytest

# The tests that take minutes each: the demo, the README's commands, the paper's tables, installs.
long: $(STAMP)
	$(BIN)/python -m pytest -m long

check: lint test

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Against an emulated aarch64 machine; needs apt and qemu-user-static, and takes minutes.
aarch64: $(STAMP)
	tests/aarch64/run.sh $(BIN)/python

$(STAMP): $(INPUTS)
	$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13) and "Python 3.10 to 3.13 is needed, this is " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) build dist demo rdedge/_native.so *.egg-info
