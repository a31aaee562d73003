"""Training: recipes, fit, evaluation, checkpoints."""
