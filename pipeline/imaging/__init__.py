"""Untrusted image files decoded to checked pixels, and what colors mean: sRGB, Lab, luma."""
