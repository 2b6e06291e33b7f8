"""Detectors that no label has taught: a model of the ordinary, fitted to features of footage that is mostly normal."""
