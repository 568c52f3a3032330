# `make study` and `make test` need only Python 3.11+ and make: they build .venv from the exact lock.
# Afterwards .venv/bin/snakemake is the whole interface; nothing else needs this file.

PYTHON ?= python3
LOCK := envs/requirements.txt
BIN := .venv/bin

.PHONY: study test check environment lock readme-figure

study: environment
	$(BIN)/snakemake

test: environment check
	$(BIN)/pytest

check: environment
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check .
	$(BIN)/snakemake --lint

# Built again when the content of the lock changes, or when an installation was cut short.
environment:
	@cmp -s $(LOCK) .venv/lock.txt || { \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")' && \
	  echo "Building .venv from $(LOCK)" && \
	  $(PYTHON) -m venv --clear .venv && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(LOCK) && \
	  cp $(LOCK) .venv/lock.txt; }

# Resolve envs/requirements.in anew. CUDA's packages are left out: PyTorch pins them itself, exactly.
lock:
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet -r envs/requirements.in
	{ echo "# Made by 'make lock' from requirements.in; do not edit."; \
	  .venv-lock/bin/python -m pip freeze | sed 's/+cpu$$//' | grep -v -E '^(nvidia|cuda|triton)'; } > $(LOCK).new
	mv $(LOCK).new $(LOCK)
	{ echo "# Made by 'make lock': the pins of requirements.txt, for 'snakemake --sdm conda'; do not edit."; \
	  echo "channels: [conda-forge, nodefaults]"; \
	  echo "dependencies:"; echo "  - python =3.11"; echo "  - pip"; echo "  - pip:"; \
	  sed -n 's/^[A-Za-z].*/      - &/p' $(LOCK); } > envs/study.yaml
	rm -rf .venv-lock

# The picture at the top of the README, from the default study.
readme-figure: environment
	$(BIN)/snakemake results/figures/mess3/belief_simplex.png
	cp results/figures/mess3/belief_simplex.png docs/belief_simplex.png
