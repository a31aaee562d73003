# Every target first makes what it needs. Only Python (3.10 or newer) and make are required.
PYTHON ?= python3
BIN := .venv/bin
NOTEBOOKS := $(sort $(wildcard notebooks/[0-9]*.ipynb))

.DEFAULT_GOAL := help

GOALS := help setup train test test-slow smoke-cub portable pipeline lint format lab notebooks bench figures site offline pins coverage
ifneq ($(filter-out $(GOALS) .venv/.ready,$(MAKECMDGOALS)),)
$(error unknown target: $(filter-out $(GOALS),$(MAKECMDGOALS)). `make` lists the targets. Pass parameters in ARGS: make train ARGS="-p epochs 3")
endif
.PHONY: $(GOALS)

help:           ## list the targets
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

.venv/.ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "this is Python " + sys.version.split()[0] + "; 3.10 or newer is needed. Choose another one: make PYTHON=python3.12 ...")'
	@echo "Creating .venv: about 3 minutes and 6 GB, once."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

setup: .venv/.ready  ## create .venv with the pinned packages

train: .venv/.ready  ## train TASN on the drawn birds: notebook 05, headless. Options: make train ARGS="-p seed 1"
	$(BIN)/python -m tasnlib.course.headless notebooks/05_train_full.ipynb $(ARGS)

# Two workers with one thread each: threads that share a core spin while waiting for each other, which is ten times slower.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --durations 10 --nbval --nbval-current-env

test: lint      ## lint, tests, doctests, every notebook with strict nbval; everything but the slow tests
	$(PYTEST) --ignore tests/slow tests tasnlib $(NOTEBOOKS)

test-slow: .venv/.ready  ## the slow tests, which CI runs too: processes, kills, servers, a real browser
	$(PYTEST) tests/slow

# The oldest and a newer instruction set of torch's own kernels and of oneDNN's, with one thread and with two.
OLDEST := ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41
AVX2 := ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2
EVERYWHERE := $(BIN)/python -m pytest --dist loadfile --durations 10 --nbval --nbval-current-env $(NOTEBOOKS)

portable: .venv/.ready  ## does every printed number hold on other processors? Four times strict nbval; takes an hour
	$(OLDEST) OMP_NUM_THREADS=1 $(EVERYWHERE) -n 2
	$(AVX2) OMP_NUM_THREADS=1 $(EVERYWHERE) -n 2
	$(OLDEST) OMP_NUM_THREADS=2 $(EVERYWHERE)
	$(AVX2) OMP_NUM_THREADS=2 $(EVERYWHERE)

coverage: .venv/.ready  ## list the lines and branches of tasnlib that no test runs; fails under 95 %. Takes 20 minutes
	rm -f .coverage .coverage.*
	OMP_NUM_THREADS=1 $(BIN)/python -m coverage run -m pytest -n 2 --dist loadfile --nbval --nbval-current-env \
		tests tasnlib $(NOTEBOOKS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

smoke-cub: .venv/.ready  ## the whole path to a CUB-200-2011 result, on 20 images: download, notebook 05, prediction
	$(BIN)/python -m pytest -v --durations 5 tests/slow/test_smoke_cub.py

PROFILE ?= laptop

pipeline: .venv/.ready  ## run every notebook headless, then write pages with an index: make pipeline PROFILE=smoke, laptop or gpu
	$(BIN)/python -m tasnlib.course.pipeline --profile $(PROFILE) $(ARGS)

lint: .venv/.ready  ## check style, formatting, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.ready  ## fix style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lab: .venv/.ready  ## open the course in JupyterLab
	$(BIN)/jupyter lab --ip=127.0.0.1 --notebook-dir notebooks

notebooks: .venv/.ready  ## execute every notebook in place, ready to commit
	$(BIN)/python data_scripts/first_cell.py
	$(BIN)/python docs/make_solutions.py
	$(BIN)/python -m tasnlib.course.headless --refresh $(NOTEBOOKS) $(sort $(wildcard notebooks/solutions/*.ipynb))

bench: .venv/.ready  ## speed and memory, beside plain alternatives and computed limits: make bench ARGS="--device cuda"
	$(BIN)/python -m benchmarks $(ARGS)

figures: .venv/.ready  ## save the figures of the ablations as PNG and PDF in figures/
	$(BIN)/python -m tasnlib.course.paper_figures $(ARGS)

site: .venv/.ready  ## write the course as web pages that need no kernel and no network: site/index.html
	$(BIN)/python -m tasnlib.course.site site $(NOTEBOOKS)

offline: .venv/.ready  ## gather what a room without internet needs in offline/: make offline ARGS="--without-solutions"
	$(BIN)/python data_scripts/gather_offline.py $(ARGS)

pins:           ## for maintainers: renew requirements.txt from pyproject.toml (needs uv)
	uv lock --upgrade
	uv export --frozen --all-groups --all-extras --no-emit-project --no-header --output-file requirements.txt
