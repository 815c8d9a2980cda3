"""How results reach the disk: whole files and folders, listings, parallel work and progress."""
