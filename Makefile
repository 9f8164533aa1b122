# make demo   install, ingest the samples, build a DIP          make test    the tests
# make check  all that CI checks                                make bench   us beside the usual chain
# make tools  JHOVE and veraPDF, and the foreign judges and servers the full test run uses
PYTHON ?= python3
BIN := .venv/bin
export UV_LINK_MODE ?= copy

.PHONY: demo test check bench tools clean

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

bench: .venv/installed
	$(BIN)/python bench/ingest.py --files 5000 --size 4KiB

tools: .venv/installed
	sh tests/judges/make.sh .tools/judges
	sh scripts/tools .tools

clean:
	rm -rf .venv .venv.uv .tools demo bench/work .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
