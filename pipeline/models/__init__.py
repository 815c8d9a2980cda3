"""Trained models: files of weights, finding the one that is meant, and running it."""
