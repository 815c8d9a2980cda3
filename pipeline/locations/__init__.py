"""Object storage and web servers: listing, reading, writing, and folders that others rely on."""
