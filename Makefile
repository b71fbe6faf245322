# `make pack` and `make test` set up everything they need in .venv. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
PIP := .venv/bin/python -m pip --disable-pip-version-check --quiet

.PHONY: pack test lint clean

pack: .venv/ready
	.venv/bin/samplegan render samplegan/weights/kick.safetensors --count 200 --out MyPack/ --skip-existing

test: .venv/ready-dev lint
	.venv/bin/pytest

lint: .venv/ready-dev
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) install --constraint constraints.txt --editable .
	touch $@

.venv/ready-dev: .venv/ready
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv build *.egg-info
