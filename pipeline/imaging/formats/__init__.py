"""Photo files with all they carry: pixels, transparency, metadata, color profiles."""
