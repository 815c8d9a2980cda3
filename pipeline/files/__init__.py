"""How results reach the disk: whole files and folders, listings and progress."""
