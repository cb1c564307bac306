# Two commands: `make conformance` judges the embedded default store, `make test` passes every test.
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCK := requirements.lock

.PHONY: sdks upstream conformance test lint evidence docs wheel check clean

conformance: $(READY)
	$(BIN)/lash-conformance run --target sqlite --report report

upstream: $(READY)
	$(BIN)/python conformance/adapters/lash-rust/upstream.py $(UPSTREAM)

sdks: $(READY)
	if command -v npm >/dev/null 2>&1; then npm ci --prefix conformance/adapters/node-sdks --ignore-scripts --no-audit --no-fund --silent; fi
	$(BIN)/lash-conformance sdks --out docs/results/sdk-matrix.json

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/pyright

# What the pages join: verdicts on the built-in targets; a failing target is evidence too (exit 1).
evidence: $(READY)
	rm -rf report/evidence
	$(MAKE) --no-print-directory $(EVIDENCE)
	$(BIN)/lash-conformance mutants --no-searches --no-crashes --json report/evidence/kills.json || [ $$? -eq 1 ]

EVIDENCE := $(patsubst %,report/evidence/%/report.json,memory sqlite reference)

report/evidence/reference/report.json: | $(READY)
	mkdir -p $(@D)
	$(BIN)/lash-conformance run --target reference --profile host --report $(@D) >$(@D).txt || [ $$? -eq 1 ]

report/evidence/%/report.json: | $(READY)
	mkdir -p $(@D)
	$(BIN)/lash-conformance run --target $* --report $(@D) >$(@D).txt || [ $$? -eq 1 ]

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
	  uv venv --quiet --allow-existing $(VENV) && uv pip install --quiet --python $(BIN)/python -r $(LOCK) -e . ; \
	else \
	  python3 -m venv $(VENV) || { echo "python3 cannot make a virtual environment: install python3-venv, or uv" >&2; exit 1; } ; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(LOCK) && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e . ; \
	fi
	@touch $(READY)
