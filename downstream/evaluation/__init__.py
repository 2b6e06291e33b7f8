"""From scores of snippets to figures that can be believed: ground truth by video name, metrics, intervals, plots."""
