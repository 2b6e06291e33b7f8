"""Features, lists and ground truth side by side: every disagreement, by video."""
