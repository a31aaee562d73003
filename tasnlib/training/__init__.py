"""From batches to weights: recipes, fit, evaluation, checkpoints, signals."""
