# Two commands do all set-up on a fresh machine: `make run` opens the page, `make test` runs every check.
# What they install goes into .venv, once. ARGS are handed on: make run ARGS="--network VGG16 --port 8000"
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# uv takes half of pip's time. Where it is not or cannot, as behind a mirror that only pip was told of, pip does it.
install = test -x $(BIN)/uv && $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python $(1) || $(BIN)/pip install --quiet $(1)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: run test long lint fuzz mutate bench docs clean

run: .venv/run.stamp
	@exec $(BIN)/python app.py $(ARGS)

test: lint .venv/docs.stamp
	@$(BIN)/python tests/chromium.py install
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)
	@$(BIN)/python tests/chromium.py say

long: .venv/test.stamp
	@$(BIN)/python -m pytest -m long $(ARGS)

lint: .venv/test.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@rm -f ui/*.pyi  # what Gradio writes beside components, and mypy would read in their place
	@$(BIN)/mypy --no-error-summary

fuzz: .venv/test.stamp
	@PYTHONPATH=. $(BIN)/python tests/photos/fuzzing.py

mutate: .venv/test.stamp .venv/mutate.stamp
	@nice -n 19 $(BIN)/mutmut run --max-children 2 $(ARGS)
	@$(BIN)/python tests/mutants.py

bench: .venv/bench.stamp
	@$(BIN)/python benchmarks/speed.py $(ARGS)

docs: .venv/docs.stamp
	@$(BIN)/python -m website.build

clean:
	rm -rf .venv mutants .mypy_cache .pytest_cache .ruff_cache build *.egg-info

.venv/bin/pip:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed; set PYTHON=/path/to/python."; exit 1; }
	@echo "Making a virtual environment in .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install --quiet uv==0.13.9 || true

.venv/run.stamp: requirements.txt | .venv/bin/pip
	@echo "Installing what the page needs into .venv (about 1 GB, once; a few minutes)"
	@$(call install,--requirement requirements.txt)
	@touch $@

.venv/test.stamp .venv/mutate.stamp .venv/bench.stamp .venv/docs.stamp: .venv/%.stamp: pyproject.toml .venv/run.stamp
	@echo "Installing what 'make $*' needs into .venv (once)"
	@$(call install,--editable '.[$*]')
# KerasHub asks for TensorFlow's GPU build, by way of its tokenizers for text; its image classifiers do without.
	@if [ $* = test ]; then $(call install,--no-deps keras-hub==0.32.0); fi
	@touch $@
