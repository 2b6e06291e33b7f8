"""Videos that lie elsewhere: at addresses that fsspec knows, and in tar files. They are read from copies.

    with opened("s3://bucket/shard-00000.tar#street.mp4") as file:     # the bytes of this one video
        ...
    file_state(path)                                                   # size and time of change; nothing is fetched

A plain path passes through at no cost, and without importing fsspec.
"""

from pretrain.data.remote.address import is_remote, plain_addresses
from pretrain.data.remote.copies import local_copy, opened
from pretrain.data.remote.errors import RemoteError
from pretrain.data.remote.state import FileState, file_state, known_size

__all__ = [
    "FileState",
    "RemoteError",
    "file_state",
    "is_remote",
    "known_size",
    "local_copy",
    "opened",
    "plain_addresses",
]
