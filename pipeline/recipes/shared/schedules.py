"""Learning rates over a run that recipes share."""

from __future__ import annotations


def halfway_then_down(progress: float) -> float:
    """Return the factor on the rate at ``progress``, 0 to 1: 1 for one half, then linearly to 0.

    The schedule of CycleGAN (Zhu et al. 2017, appendix 7.1), and of pix2pix's code.
    """
    return min(1.0, 2 * (1 - progress))
