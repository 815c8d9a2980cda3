"""Where work is done: by the cores of this machine, or by a Ray cluster. Stages know neither."""
