"""Tar shards: the videos of a catalogue, or their proxies, in few large files with an index. Read by kind `shards`."""
