"""How a recipe becomes weights: photos, steps, validation and resumable checkpoints."""
