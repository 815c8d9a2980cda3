"""A project of one's own: the files that it begins with, and what this machine has for it."""
