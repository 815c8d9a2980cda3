"""Settings of every test."""

import os
import signal

# Set before torch is imported, and for the processes that tests start. Networks this small gain
# nothing from threads, and on a busy machine, threads that wait for each other are very slow.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell starts background jobs with Ctrl-C ignored. The processes that tests interrupt would
# inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
