"""Finished runs looked at: metrics with intervals, comparisons, where anomalies are, pictures."""
