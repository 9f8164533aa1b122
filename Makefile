# make demo   install, ingest the samples, build a DIP          make test    the tests
# make check  all that CI checks                                make bench   us beside the usual chain
# make coverage   branches that no test takes                 make test-long  with many more kills and seeds
# make tools  JHOVE and veraPDF, and the foreign judges and servers the full test run uses
PYTHON ?= python3
BIN := .venv/bin
export UV_LINK_MODE ?= copy

.PHONY: demo test test-long coverage check bench tools clean

# A virtual environment with the locked versions and Stele itself; made once.
.venv/installed: requirements.lock pyproject.toml
	@sh scripts/install .venv
	@touch $@

demo: .venv/installed
	@sh scripts/demo

test: .venv/installed
	@$(BIN)/python -m pytest -q -n auto --dist loadfile

check: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -n auto --dist loadfile

# Which branches no test takes: by layer, and the files below 95 %. Not by the simulation, whose operations are half made up, nor by browsers.
coverage: .venv/installed
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run -m pytest -q -n auto --dist loadfile --ignore tests/simulation --ignore tests/browser --ignore tests/fuzzing || true
	@$(BIN)/coverage combine -q
	@$(BIN)/python tests/coverage_by_layer.py

# The tests, with many more kills, faults and seeds than a push can wait for.
test-long: .venv/installed
	STELE_LONG=1 STELE_SEEDS=20000 $(BIN)/python -m pytest -q -n auto --dist loadfile

bench: .venv/installed
	$(BIN)/python bench/ingest.py --files 5000 --size 4KiB

tools: .venv/installed
	sh tests/judges/make.sh .tools/judges
	sh scripts/tools .tools

clean:
	rm -rf .venv .venv.uv .tools demo bench/work .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
