"""What the colorizer is made of: the network, colour at full size, folders as a stream."""
