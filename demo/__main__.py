"""`python -m demo`, which `make demo` runs."""

import sys

from demo.road import demo
from pretrain.cli import run_command
from pretrain.errors import UserError


def main() -> None:
    """The demo has no settings."""
    if len(sys.argv) > 1:
        raise UserError(f"python -m demo takes no arguments ({' '.join(sys.argv[1:])}); it writes runs/demo")
    demo()


run_command(main)
