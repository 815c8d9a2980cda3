"""How far colorized photos are from the truth."""
