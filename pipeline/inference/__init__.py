"""What the colorizer is made of: the network, color at full size, folders as a stream."""
