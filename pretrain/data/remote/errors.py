"""The one error of reading from elsewhere."""

from __future__ import annotations

from pretrain.data.remote.address import plain_addresses
from pretrain.errors import UserError


class RemoteError(UserError):
    """What lies in a store, or in a tar file, cannot be read. The text names it without logins and byte ranges."""

    def __init__(self, text: str) -> None:
        super().__init__(plain_addresses(text))
