"""The demonstration: a rendered world with known anomalies, and the whole road on it."""
