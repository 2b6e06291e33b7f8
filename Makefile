# Both main targets set up .venv from nothing and work again when run twice, also from a path with spaces.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test slow lint docs clean

demo: .venv/installed
	"$(BIN)/python" -m demo

# one process a core, each with one thread: half the time on two cores
test: .venv/installed-dev
	OMP_NUM_THREADS=1 "$(BIN)/python" -m pytest -n auto --maxprocesses 8 --dist worksteal

slow: .venv/installed-dev
	"$(BIN)/python" -m pytest -m slow

lint: .venv/installed-dev
	"$(BIN)/ruff" format --check .
	"$(BIN)/ruff" check .
	"$(BIN)/mypy"

# the documentation as a site, site/index.html
docs: .venv/installed-docs
	NO_MKDOCS_2_WARNING=1 "$(BIN)/mkdocs" build --strict

# compiled where a module is first used: half a minute less than compiling all of torch
INSTALL := -m pip install --quiet --disable-pip-version-check --no-compile --editable

.venv/installed: pyproject.toml
	"$(PYTHON)" -m venv .venv
	"$(BIN)/python" $(INSTALL) .
	touch .venv/installed

.venv/installed-dev: .venv/installed
	"$(BIN)/python" $(INSTALL) ".[dev]"
	touch .venv/installed-dev

.venv/installed-docs: .venv/installed
	"$(BIN)/python" $(INSTALL) ".[docs]"
	touch .venv/installed-docs

clean:
	rm -rf .venv runs/demo site
