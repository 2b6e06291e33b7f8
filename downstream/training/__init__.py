"""Fine-tuning: from features, or from videos, and labels of whole videos to a trained detector."""
