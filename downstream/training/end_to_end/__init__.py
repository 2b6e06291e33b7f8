"""Training a detector and the last stages of its backbone together, straight from videos."""
