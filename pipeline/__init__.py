"""What the stages of the chain are made of; every module can be used from a notebook."""

import os

__version__ = "0.1.0"

# Intel's routines inside OpenCV round in another way on each generation of processors. OpenCV's own
# are as fast here, and a stage writes the same bytes on every machine.
os.environ["OPENCV_IPP"] = "disabled"
