"""Pack the videos of a catalogue, or their proxies, into tar shards with an index."""

from __future__ import annotations

from collections.abc import Sequence

from pretrain.cli import run_script
from pretrain.data.shards.pack_command import PackShardsConfig, pack_shards


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("pack_shards.py", PackShardsConfig, pack_shards, arguments)


if __name__ == "__main__":
    main()
