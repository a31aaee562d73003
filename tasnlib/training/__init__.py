"""Training: recipes, fit, evaluation, checkpoints, signals."""
