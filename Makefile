# Both main targets set up .venv from nothing and work again when run twice, also from a path with spaces.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test slow lint clean

demo: .venv/installed
	"$(BIN)/python" scripts/demo.py

test: .venv/installed
	"$(BIN)/python" -m pytest

slow: .venv/installed
	"$(BIN)/python" -m pytest -m slow

lint: .venv/installed
	"$(BIN)/ruff" format --check .
	"$(BIN)/ruff" check .
	"$(BIN)/mypy"

.venv/installed: pyproject.toml
	"$(PYTHON)" -m venv .venv
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch .venv/installed

clean:
	rm -rf .venv runs/demo
