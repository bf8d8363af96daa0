"""Cost: what a class label and an explanation cost, and where the time goes, measured by one rule for all models."""
