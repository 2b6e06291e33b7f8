"""The folder of a fine-tuning run: the one place that knows what lies where in it."""
