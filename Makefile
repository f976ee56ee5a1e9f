# `make demo` and `make test` need nothing but Python 3.11 or 3.12: they make .venv themselves, with the versions
# pinned in constraints.txt, through uv where it is installed and pip elsewhere.

VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
EXTRAS := speech,pretrained,subword,encoders,export,whisper,align,summaries,live,demo,serve,dev,docs

# True for the Pythons that the pinned torch is installed on; pyproject.toml says the same.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
# The first that runs and is supported, else python3; `make test PYTHON=/path/to/python3.11` names another.
PYTHON ?= $(shell for python in python3.11 python3.12 python3; do \
	$$python -c '$(SUPPORTED)' 2>/dev/null && echo $$python && exit; done; echo python3)

.PHONY: help install demo test test-slow test-browser test-notebooks test-wheel lint docs format clean

help:
	@echo "make demo            train, evaluate and show both built-in tasks on the CPU (some five minutes on 2 cores)"
	@echo "make test            the tests"
	@echo "make test-slow       the slow tests"
	@echo "make test-browser    the tests of the attention page, in the Chromium that is installed"
	@echo "make test-notebooks  runs every notebook"
	@echo "make test-wheel      the wheel in an environment of its own"
	@echo "make lint            ruff and mypy"
	@echo "make docs            the site, in docs/_build/html; a warning is an error"
	@echo "make format          let ruff put the code in its format"
	@echo "make install         only make $(VENV)"
	@echo "make clean           remove $(VENV), caches and the demo's runs; other runs in outputs/ stay"

install: $(STAMP)

# A change of versions updates an existing .venv; one without a supported Python is made anew.
$(STAMP): pyproject.toml constraints.txt
	@set -e; \
	if ! $(BIN)/python -c '$(SUPPORTED)' 2>/dev/null; then \
		$(PYTHON) -c '$(SUPPORTED)' 2>/dev/null || { \
			echo "Python 3.11 or 3.12 is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1 | head -n 1)." >&2; \
			echo "Install one of them, or name it: make $(or $(MAKECMDGOALS),install) PYTHON=/path/to/python3.11" >&2; \
			exit 1; }; \
		echo "Making $(VENV) with $$($(PYTHON) --version)"; \
		rm -rf $(VENV); \
		if command -v uv >/dev/null; then uv venv --quiet --seed --python "$$(command -v $(PYTHON))" $(VENV); \
		else $(PYTHON) -m venv $(VENV); fi; \
	fi; \
	echo "Installing the versions pinned in constraints.txt into $(VENV): some GB with torch, so some minutes the first time."; \
	echo "This includes espeakng-loader (espeak-ng, GPL-3.0): it speaks the built-in demo corpus and is used for nothing else."; \
	if command -v uv >/dev/null; then pip="uv pip install --python $(BIN)/python"; \
	else pip="$(BIN)/python -m pip install --disable-pip-version-check"; fi; \
	$$pip -qq -c constraints.txt pip setuptools hatchling editables; \
	$$pip -qq -c constraints.txt --no-build-isolation -e ".[$(EXTRAS)]"; \
	touch $@

# Less training than the experiments have, to end in minutes: the figures of benchmarks/RESULTS.md are those
# of the experiments. With twice the captions for each scene, two epochs point better than three without.
demo: $(STAMP)
	@rm -rf outputs/demo
	$(BIN)/python train.py trainer.max_epochs=2 data.texts_per_source=4 hydra.run.dir=outputs/demo/shapes
	$(BIN)/python evaluate.py run=outputs/demo/shapes
	$(BIN)/python train.py experiment=listen_attend_spell_spoken trainer.limit_train_batches=0.7 hydra.run.dir=outputs/demo/spoken
	$(BIN)/python evaluate.py run=outputs/demo/spoken
	@echo "What the models attend to, to open in a browser:"
	@echo "  pictures: $(CURDIR)/outputs/demo/shapes/evaluation/val/index.html"
	@echo "  speech:   $(CURDIR)/outputs/demo/spoken/evaluation/val/index.html"

# One process for each core, as the tests have one thread each; the tests of a file share what its fixtures train.
# In the order of the folders: by itself xdist begins with the files of many small tests, and ends with one core at work.
test: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

test-browser: $(STAMP)
	$(BIN)/python -m pytest -m browser tests/inspection/browser

test-wheel: $(STAMP)
	$(BIN)/python -m pytest -m wheel tests/test_wheel.py

test-notebooks: $(STAMP)
	$(BIN)/python -m pytest -m notebook tests/test_notebooks.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy

docs: $(STAMP)
	$(BIN)/python -m sphinx -q -E -W --keep-going -c docs . docs/_build/html
	@echo "The site: $(CURDIR)/docs/_build/html/index.html"

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) outputs/demo .pytest_cache .ruff_cache .mypy_cache *.egg-info build dist docs/_build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
