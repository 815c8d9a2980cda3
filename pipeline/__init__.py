"""What the stages are made of; every module can be used from a notebook."""

__version__ = "0.1.0"
