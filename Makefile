# Targets use the `netwright` of the active virtual environment; `make check` makes a fresh one, as CI does.
.PHONY: check test lint pictures

check:
	.ci/run

test:
	pytest

lint:
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-logo

pictures:
	python docs/pictures/make.py
