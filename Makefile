# Two commands do all the set-up by themselves on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
CONSUMERS := $(VENV)/consumers

.PHONY: demo demo-full test test-slow lint types bench clean install

demo: $(STAMP)            ## grow three organisms, switch them off, write runs/demo/report.html
	$(BIN)/axenic demo

demo-full: $(STAMP)       ## the same with three seeds and every claim (about two hours on two cores)
	$(BIN)/axenic demo --full

test: $(STAMP) $(CONSUMERS) lint types ## everything but the tests marked slow
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadscope -q

test-slow: $(STAMP) $(CONSUMERS) ## the tests that take minutes
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

# Programs that read the files we write. repeng asks for numpy below 2 and steering-vectors for transformers below 5, so they go to a
# folder that only their tests look into; where a platform has no wheel, those tests skip and say so.
$(CONSUMERS): constraints.txt
	-$(BIN)/python -m pip install --quiet --no-deps --only-binary :all: --upgrade --target $@ \
		repeng==0.4.0 steering-vectors==0.12.2 xllamacpp==2026.10.11549
	mkdir -p $@ && touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
