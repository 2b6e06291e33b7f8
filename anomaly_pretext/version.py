"""Which version this is: of the installed package, as its metadata say."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("anomaly-pretext")
except PackageNotFoundError:  # a checkout that is used without having been installed
    __version__ = "0+unknown"
