"""Films: read, colored steadily, encoded and put together again with their other streams."""
