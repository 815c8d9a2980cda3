"""How far colorized photos are from the ground truth."""
