"""Scores that need no learning, from features or from pixels: what every figure of a detector stands beside."""
