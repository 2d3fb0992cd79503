# Two commands do all the set-up by themselves on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo demo-full test test-slow lint types bench clean install

demo: $(STAMP)            ## grow three organisms, switch them off, write runs/demo/report.html
	$(BIN)/axenic demo

demo-full: $(STAMP)       ## the same with three seeds and every claim (about 40 minutes on two cores)
	$(BIN)/axenic demo --full

test: $(STAMP) lint types ## everything but the tests marked slow
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadscope -q

test-slow: $(STAMP)       ## the tests that take minutes
	$(BIN)/python -m pytest -m slow -q

lint: $(STAMP)
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks

types: $(STAMP)
	$(BIN)/mypy

bench: $(STAMP)           ## ratios measured side by side; `python -m benchmarks --write` appends them to benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
