"""x264 that gives the same bytes each time: the same pictures make the same file, on any machine."""

from __future__ import annotations

REPEATABLE = {"threads": "4", "x264-params": "cpu-independent=1"}
"""Options of the encoder libx264.

By default it takes as many threads as the machine has, which changes the bytes, and with AVX-512 its macroblock tree
gave other bytes in one run of eight on the same pictures (measured; not with AVX2, and not with this).
"""
