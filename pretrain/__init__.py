"""Self-supervised pretraining: video in, backbone weights out."""
