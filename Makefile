# Targets use the `netwright` of the active virtual environment; `make check` makes a fresh one, as CI does.
.PHONY: check test lint reference pictures

check:
	.ci/run

test:
	pytest

lint:
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-logo

reference:
	python docs/reference/make.py

pictures:
	netwright search --seed 0 --out runs/digits-0
	python docs/pictures/make.py runs/digits-0
