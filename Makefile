# Two commands set up everything: `make demo` runs the main job, `make test` the tests.
# pip before 24 loses its way where the newest of a package (pydantic) is not what another one (kfactory) takes.
# Two tests at a time, a core each: threads of BLAS wait for each other. Stealing keeps a file's tests, fixtures and
# compiled functions in one process.
# Most of the fast suite's time is XLA's, compiling what runs once: it skips its costly optimisations there.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN = $(VENV)/bin
PYTEST = OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

.PHONY: demo test test-all oracle lint bench clean

demo: $(VENV)/installed
	$(BIN)/picq run layouts/wdm_demux.yaml -o build/wdm_demux

test: $(VENV)/installed-dev
	JAX_DISABLE_MOST_OPTIMIZATIONS=1 $(PYTEST) -m "not slow"

test-all: $(VENV)/installed-dev
	$(PYTEST)

oracle: $(VENV)/installed-dev
	$(BIN)/python -m pip install --quiet --editable ".[dev,oracle]"
	$(BIN)/python -m pytest tests/oracles -m oracle -q -o addopts=""

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: $(VENV)/installed-dev
	$(BIN)/python -m pip install --quiet --editable ".[dev,bench]"
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) build *.egg-info

$(VENV)/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@ $(VENV)/installed
