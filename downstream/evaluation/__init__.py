"""From scores to metrics that can be believed: ground truth by video name, when and where, intervals, tables."""
