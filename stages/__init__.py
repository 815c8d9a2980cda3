"""One module a stage: folders in, folders out."""
