"""Which version this is, as the installed package's metadata say, and whether it is one or a checkout."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from pretrain import __name__ as _pretrain

try:
    __version__ = version("anomaly-pretext")
except PackageNotFoundError:  # a checkout that is used without having been installed
    __version__ = "0+unknown"

ABOVE = _pretrain.removesuffix("pretrain")
"""The package above our own: none in a checkout, `anomaly_pretext.core.` where it is installed."""
