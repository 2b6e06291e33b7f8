"""Weakly supervised video anomaly detection on top of pretrained backbones."""
