"""``python -m pipeline`` is ``colorpipe``, run from the code of the current folder."""

from pipeline.cli import main

main()
