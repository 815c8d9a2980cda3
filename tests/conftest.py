"""What holds for every test."""

import os
import signal

# Before torch is imported, and for the processes that tests start: networks this small gain nothing
# from threads, and on a busy machine threads that wait for each other take minutes for a second.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Run in the background, tests inherit that Ctrl-C is ignored, and so would the processes that they
# interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
