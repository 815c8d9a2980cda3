"""Networks as plain modules; their constructor arguments are their published hyper-parameters."""
