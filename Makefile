# `make run` and `make test` do all the set-up they need.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

# dvc.yaml runs `python -m pipeline`: that has to be the environment's python.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help install run compare test check lock

help:
	@echo "make install   make .venv and install colorpipe in it, at the versions of constraints.txt"
	@echo "make run       rebuild what is out of date, from photos found to photos colorized"
	@echo "make compare   train all systems alike and judge them: about an hour on two cores"
	@echo "make check     lint, formatting and types"
	@echo "make test      make check, then every test"
	@echo "make lock      bring constraints.txt up to date with pyproject.toml"
	@echo "PYTHON=python3.12 behind any of them chooses the Python that .venv is made from."

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || { \
	  echo "colorpipe needs Python 3.10 to 3.13 and $(PYTHON) is another;" \
	    "name one that is, for example: make install PYTHON=python3.12" >&2; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev,onnx]'
	@touch $@

run: install
	$(BIN)/dvc repro
	@echo
	@$(BIN)/dvc metrics show
	@echo
	@echo "The colorized photos are in data/colorized, next to what they were made from in"
	@echo "data/split/test_x and test_y; metrics, plots and the contact sheet are in reports,"
	@echo "the model in models. 'dvc plots show' draws the curves of the training."

# A DVC project of its own. It goes on where it was stopped.
compare: install
	@$(BIN)/python -m comparison check
	cd comparison && $(CURDIR)/$(BIN)/dvc repro
	@echo
	@echo "The table is in comparison/results.md, the photos side by side in"
	@echo "comparison/reports/gallery.png."

check: install
	$(BIN)/pre-commit run --all-files

test: check
	$(BIN)/python -m pytest

# Keeps the versions that stand there; `make lock UPGRADE=--upgrade` takes the newest of all.
lock: install
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --all-extras --no-annotate \
	  --custom-compile-command 'make lock' $(UPGRADE) --output-file constraints.txt pyproject.toml
