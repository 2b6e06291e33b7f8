"""Benchmarks: ours beside what one would write otherwise, in one run; the last line is `RESULT {...}`."""
