# `make demo` and `make test` need Python 3.11 or later, make, and a network for the first install.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
CONSTRAINTS ?=
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

# What calls kernels that take places from outside, or many arrays.
BOUNDS := $(addprefix tests/kernels/test_,$(addsuffix .py,convolution denormals places recurrent_kernels \
	reduce rows rule_arithmetic softmax special)) $(addprefix tests/nn/test_,$(addsuffix .py,\
	conv ctc embedding losses more_losses packing pooling rnn))

# The suite starts hundreds of Pythons; each reads 400 files, which are compiled once where they may be.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-thorough test-bounds test-kernels test-peers test-interruption test-mpi \
	test-browser test-notebooks test-site bench gpu-check docs site golden lint format clean

help: ## list these commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1 \t/' | expand -t 24

demo: $(VENV)/.examples ## train on handwritten digits and draw digits.png
	$(BIN)/python examples/digits.py

test: $(VENV)/.test ## what needs neither PyTorch nor a GPU, then the CUDA simulator
	$(PYTEST) -m "not thorough and not peers"
	NUMBA_ENABLE_CUDASIM=1 $(PYTEST) tests/simulator

test-thorough: $(VENV)/.test $(VENV)/.test-kernels ## what takes long: all examples, packages, caches, PTX
	$(PYTEST) -m "thorough and not peers"

# What depends most on the versions of Python, NumPy and Numba, with few things to install.
# CONSTRAINTS=.ci/oldest.txt takes the oldest of them.
test-kernels: $(VENV)/.test-kernels ## kernels, their PTX, what is traced, packaging and CUDA simulator alone
	$(PYTEST) -m "(not thorough or versions) and not peers" tests/kernels tests/compiled/test_compiled_semantics.py
	$(PYTEST) tests/test_packaging.py
	NUMBA_ENABLE_CUDASIM=1 $(PYTEST) tests/simulator

# Not those of threads: Numba drops what a parallel kernel raises. Each has a serial twin, tested here.
test-bounds: $(VENV)/.test ## run the kernels' tests with Numba's check of every index
	NUMBA_BOUNDSCHECK=1 $(PYTEST) -m "not peers and not versions" -k "not threads and not parallel" $(BOUNDS)

# PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu fetches PyTorch without its CUDA libraries.
test-peers: $(VENV)/.test $(VENV)/.peers ## the comparisons with PyTorch, which it installs
	$(PYTEST) -m peers

test-interruption: $(VENV)/.test ## kill a training run at 50 random moments, and resume it
	$(BIN)/python -m pytest tests/interruption

# Launches several processes each: one after the other.
test-mpi: $(VENV)/.test-mpi ## programs of 2 to 4 processes, which MPI starts; sweeps with Dask and Optuna
	$(BIN)/python -m pytest tests/mpi

# Needs Chromium and its driver: `apt-get install chromium chromium-driver` on Debian.
test-browser: $(VENV)/.test-browser ## the playground's page in a headless Chromium
	$(BIN)/python -m pytest tests/browser

test-notebooks: $(VENV)/.test-notebooks ## run the notebooks in Jupyter's kernel: half a minute
	$(PYTEST) tests/notebooks

test-site: $(VENV)/.test-site ## build the documentation's site, and check its links, names and search
	$(BIN)/python -m pytest tests/site

# On a machine with a GPU; in an environment with CuPy at hand, `python -m benchmarks.gpu` does too.
gpu-check: $(VENV)/.test ## device tests and benchmarks on a real GPU, into benchmarks/results/
	$(BIN)/python -m benchmarks.gpu --out benchmarks/results

bench: $(VENV)/.peers $(VENV)/.test-mpi ## time against PyTorch and JAX, into benchmarks/results/
	$(BIN)/python -m benchmarks

docs: $(VENV)/.examples ## write the pages made from docstrings, and their pictures
	$(BIN)/python docs/make_pages.py

site: $(VENV)/.site ## build the documentation as a site: build/site/index.html
	$(BIN)/python docs/site

golden: $(VENV)/.test $(VENV)/.peers ## write the golden values of the tests anew
	$(BIN)/python tests/golden/make.py
	$(BIN)/python tests/golden/signatures.py
	$(BIN)/python tests/golden/stubs.py
	$(BIN)/python tests/golden/pytorch_names.py
	$(BIN)/python tests/golden/public_stubs.py
	$(BIN)/python tests/golden/pt_files.py
	$(BIN)/python tests/golden/scripts.py

lint: $(VENV)/.test ## ruff and mypy, as the suite runs them
	$(BIN)/python -m pytest -q tests/test_style.py tests/test_types.py

format: $(VENV)/.test ## sort imports, mend what ruff can mend, format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove what builds and tools left, the virtual environment too
	rm -rf $(VENV) .venv-* build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis digits.png
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("tinygrad_opt needs Python 3.11 or later; try make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# One stamp for each extra: a second run installs nothing, a changed pyproject.toml does. The warning
# that is ignored is setuptools' general advice on every editable install. What the tests import they
# compile; all that was installed would be 150 MB more.
$(VENV)/.%: pyproject.toml | $(BIN)/python
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --no-compile \
		$(addprefix --constraint ,$(CONSTRAINTS)) --editable '.[$*]'
	@touch $@
