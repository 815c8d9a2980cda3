"""The way to strangers' servers and archives, and what is not taken from them."""
