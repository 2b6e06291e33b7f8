"""Ablations in one command: a grid of fine-tuning runs, in parallel, resumable, ending in one table."""
