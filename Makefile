# Targets use the `netwright` of the active virtual environment; `make check` makes a fresh one, as CI does.
.PHONY: check test lint reference docs pictures

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

docs:
	python -m sphinx -c docs -W --keep-going -q -b html . build/site

pictures:
	netwright search cifar10-small --seed 0 --workers 2 --hours 0.5 --out runs/cifar10-small-0
	python docs/pictures/make.py runs/cifar10-small-0
