"""The same numbers on processors of all kinds, for what is kept under version control."""

from __future__ import annotations

import cv2


def same_on_every_processor() -> None:
    """Let OpenCV do without Intel's routines (IPP), in the calling thread from now on.

    Those round in another way on each generation of processors. OpenCV's own are as fast for what
    the data set is made with. Each thread has a switch of its own, so whatever computes pixels or
    measures that are written to files calls this before its first use of OpenCV: a thread's first
    photo would otherwise differ from all later ones.
    """
    cv2.ipp.setUseIPP(False)
