# Two commands: `make conformance` judges the embedded default store, `make test` passes every test.
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCK := requirements.lock
# Modules are compiled once, not by each of the many processes that judge and are judged.
unexport PYTHONDONTWRITEBYTECODE
# In the C locale Python cannot read the path of an editable install that is not ASCII.
export LC_ALL := C.UTF-8

.DELETE_ON_ERROR:
.PHONY: sdks upstream conformance test lint evidence node kills bench docs wheel check clean

conformance: $(READY)
	$(BIN)/lash-conformance run --target sqlite --report report

upstream: $(READY)
	$(BIN)/python conformance/adapters/lash-rust/upstream.py $(UPSTREAM)

sdks: $(READY)
	if command -v npm >/dev/null 2>&1; then npm ci --prefix conformance/adapters/node-sdks --ignore-scripts --no-audit --no-fund --silent; fi
	$(BIN)/lash-conformance sdks --out docs/results/sdk-matrix.json

test: $(READY)
	$(BIN)/python -m pytest -n 4

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/pyright

# What the pages join, all of it anew; the slow part is kept in docs/results, so that `make docs` need not do it.
# A failing target is evidence too (exit 1).
evidence: $(READY)
	rm -rf report/evidence report/slow
	$(MAKE) --no-print-directory $(EVIDENCE)
	mkdir -p report/slow
	$(JUDGE) --target postgres --report report/slow/postgres >report/slow/postgres.txt || [ $$? -eq 1 ]
	$(KEEP) report/slow/postgres/report.json docs/results/postgres.json
	@if command -v node >/dev/null; then $(MAKE) --no-print-directory node; else echo "NO NODE HERE: docs/results/node.json stays as it is" >&2; fi
	$(MAKE) --no-print-directory kills

# The Node store, judged whole.
node: $(READY)
	mkdir -p report/slow
	$(JUDGE) --target 'stdio:node conformance/adapters/node/main.js' --report report/slow/node >report/slow/node.txt || [ $$? -eq 1 ]
	$(KEEP) report/slow/node/report.json docs/results/node.json --with node=$$(node --version)

# Every broken implementation, or those of SELECT='STO.12,LEA.*': what is run again replaces what was kept of it.
SELECT := *
kills: $(READY)
	mkdir -p report/slow
	$(BIN)/lash-conformance mutants --select '$(SELECT)' --json report/slow/kills.json >report/slow/kills.txt || [ $$? -eq 1 ]
	$(KEEP) report/slow/kills.json docs/results/kills.json

# Growth curves; the machine should have nothing else to do.
bench: $(READY)
	$(BIN)/lash-conformance bench --report report/slow/bench
	$(KEEP) report/slow/bench/bench.json docs/results/bench/sqlite.json
	$(BIN)/lash-conformance bench --host --report report/slow/bench
	$(KEEP) report/slow/bench/bench-host.json docs/results/bench/host.json
	$(BIN)/lash-conformance bench --providers --report report/slow/bench
	$(KEEP) report/slow/bench/providers.json docs/results/bench/providers.json

JUDGE := $(BIN)/lash-conformance run
KEEP := $(BIN)/lash-conformance keep
EVIDENCE := $(patsubst %,report/evidence/%/report.json,memory sqlite reference)

JUDGES := docs/spec/confirmed.json $(wildcard conformance/lash_conformance/checks/*/*.py)
report/evidence/reference/report.json: $(JUDGES) | $(READY)
	mkdir -p $(@D)
	$(JUDGE) --target reference --profile host --report $(@D) >$(@D).txt || [ $$? -eq 1 ]

report/evidence/%/report.json: $(JUDGES) | $(READY)
	mkdir -p $(@D)
	$(JUDGE) --target $* --report $(@D) >$(@D).txt || [ $$? -eq 1 ]

docs: $(READY) $(EVIDENCE)
	$(BIN)/lash-conformance site build/docs --reports docs/results --reports report/evidence
	NO_MKDOCS_2_WARNING=1 SOURCE_DATE_EPOCH=0 $(BIN)/mkdocs build --strict --quiet

wheel: $(READY)
	rm -rf dist
	$(BIN)/python -m build --quiet
	ls dist

check: lint test docs wheel

clean:
	rm -rf $(VENV) report build site dist

$(READY): $(LOCK) pyproject.toml
	@echo "setting up $(VENV) (a minute, once)"
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing $(VENV) && uv pip install --quiet --compile-bytecode --python $(BIN)/python -r $(LOCK) -e . ; \
	else \
	  python3 -m venv $(VENV) || { echo "python3 cannot make a virtual environment: install python3-venv, or uv" >&2; exit 1; } ; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(LOCK) && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e . ; \
	fi
	@touch $(READY)
