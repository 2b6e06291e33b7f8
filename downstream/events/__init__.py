"""From scores to what happened: events in time, boxes and tubes in the picture, and thresholds for them."""
