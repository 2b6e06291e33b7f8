"""Make the proxy cache of a catalogue: each video once as a small file that decodes fast."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pretrain.cli import run_command
from pretrain.data.proxy.build_command import build_cache, read_config


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    run_command(lambda: build_cache(read_config(given, "build_cache.py")))


if __name__ == "__main__":
    main()
