"""Published detectors, by name, and ours on one feature set: figures, differences and cost in one table."""
