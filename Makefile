# `make run` and `make test` do all the set-up they need.

PYTHON ?= python3
BIN := .venv/bin
FOR_CHAIN := .venv/.installed-for-chain
FOR_DEVELOPMENT := .venv/.installed-for-development

# dvc.yaml runs `python -m pipeline`: that has to be the environment's python.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help install run compare test check lock

help:
	@echo "make run       rebuild what is out of date, from photos found to photos colorized"
	@echo "make compare   train all systems alike and evaluate them: two to three hours on two cores"
	@echo "make test      make check, then every test"
	@echo "make check     lint, formatting and types"
	@echo "make install   make .venv and install colorpipe in it with everything, to change it"
	@echo "make lock      bring constraints.txt up to date with pyproject.toml"
	@echo "PYTHON=python3.12 behind any of them chooses the Python that .venv is made from."

# Without --no-compile, over half of the processor time goes into byte code of modules that are
# never imported; Python compiles the others when it imports them.
$(FOR_CHAIN): EXTRAS := dvc,evaluate,scrape,train
$(FOR_DEVELOPMENT): EXTRAS := all,dev
$(FOR_CHAIN) $(FOR_DEVELOPMENT): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || { \
	  echo "colorpipe needs Python 3.10 to 3.13 and $(PYTHON) is another;" \
	    "name one that is, for example: make install PYTHON=python3.12" >&2; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --no-compile -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

install: $(FOR_DEVELOPMENT)

run: $(FOR_CHAIN)
	$(BIN)/dvc repro
	@echo
	@$(BIN)/dvc metrics show
	@echo
	@echo "The colorized photos are in data/colorized, next to what they were made from in"
	@echo "data/split/test_x and test_y; metrics, plots and the contact sheet are in reports,"
	@echo "the model in models. 'dvc plots show' draws the curves of the training."

# A DVC project of its own. It resumes where it was stopped; rows that are in git are not made again
# because their weights are missing.
compare: $(FOR_DEVELOPMENT)
	@$(BIN)/python -m comparison check
	cd comparison && $(CURDIR)/$(BIN)/dvc repro --allow-missing
	@echo
	@echo "The tables and pictures are in comparison/results.md."

check: $(FOR_DEVELOPMENT)
	$(BIN)/pre-commit run --all-files

# A file's tests share what is slow to set up: they stay on one core.
test: check
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

# Keeps the versions that stand there; `make lock UPGRADE=--upgrade` takes the newest of all.
lock: $(FOR_DEVELOPMENT)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --all-extras --no-annotate \
	  --custom-compile-command 'make lock' $(UPGRADE) --output-file constraints.txt pyproject.toml
