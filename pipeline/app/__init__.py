"""The page: drop a photo, click a color, download the result; served to this machine alone."""
