# make test     everything that must hold, in a few minutes
# make prove    the long proofs, before a release; ends with a table of what they did
# make prove-gpu  what only a GPU can prove: docs/gpu.md; ARCHDSL_GPU=cpu rehearses it
# make demo     lint, compile and train, as in the README
# make update   write again what is derived: the parser's tables, the published schema, the reference, generated/,
#               the table in the README
# make check    style and types
# make clean    forget the environment and all caches
#
# Each of them sets up .venv when it is missing, broken, or older than pyproject.toml and constraints.txt say.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: test prove prove-gpu demo update check venv clean

JOBS ?= 2
BIN := .venv/bin
PYTHONS ?= python3.11 python3.12 python3.13 python3.14 python3 python
# The tests compare against its networks; it is installed without its own requirements.
ORACLE := pytorchcv==0.0.74
# Two workers with two threads each are slower on two cores than with one.
export OMP_NUM_THREADS ?= 1

test: venv
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

# ARCHDSL_SOAK=0.02 takes a fiftieth of all cases: a rehearsal.
prove: venv
	status=0
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m 'prove or promised' --soak || status=$$?
	$(BIN)/python tests/soak.py
	exit $$status

prove-gpu: venv
	$(BIN)/python -m pytest -n 0 -v -s -rs tests/gpu

demo: export OMP_NUM_THREADS := $(JOBS)
demo: venv
	$(BIN)/archdsl lint specs/wrn-28-10.arch
	$(BIN)/archdsl compile specs/wrn-28-10.arch
	$(BIN)/archdsl summary specs/wrn-28-10.arch
	$(BIN)/archdsl train specs/resnet-20.arch --data shapes

update: venv
	$(BIN)/python -m archdsl.syntax.grammar
	mkdir -p docs/schema
	$(BIN)/python -m archdsl.schema > docs/schema/.new && mv docs/schema/.new docs/schema/network.schema.json
	$(BIN)/python -m archdsl.ops.reference > docs/.new && mv docs/.new docs/primitives.md
	$(BIN)/archdsl compile specs -o generated
	$(BIN)/python -m pytest -q -n 0 tests/test_report.py --update

check: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

venv:
	@stamp="$$(cat pyproject.toml constraints.txt | cksum) $(ORACLE)"
	if [ "$$(cat .venv/.stamp 2>/dev/null)" = "$$stamp" ] && $(BIN)/python -c 'import archdsl, pip, pytest' 2>/dev/null
	then exit 0; fi
	if ! $(BIN)/python -c 'import pip' 2>/dev/null
	then
		for python in $(PYTHONS) none
		do $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
		done
		if [ "$$python" = none ]; then echo 'archdsl needs Python 3.11 or newer, with its venv module' >&2; exit 1; fi
		echo "setting up .venv with $$($$python --version)"
		rm -rf .venv
		$$python -m venv .venv
	fi
	rm -f .venv/.stamp
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[test]'
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps $(ORACLE)
	echo "$$stamp" > .venv/.stamp

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.ONESHELL:
