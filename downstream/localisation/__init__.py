"""Where an anomaly is: score maps over space and time, boxes, tubes, figures against annotated boxes, pictures."""
