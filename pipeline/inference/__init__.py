"""Coloring a photo with a trained model: at its full size, and whole folders as a stream."""
