"""`python -m demo`, which `make demo` runs."""

from demo.road import demo
from pretrain.cli import run_command

run_command(demo)
