"""How this process handles the memory that it frees."""

from __future__ import annotations

import ctypes
import platform

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_freed_memory(up_to: int = 2**31 - 1) -> bool:
    """Tell glibc's allocator to keep freed memory; call it before the first large array is made.

    Work on one photo or one batch after the other frees large blocks and takes them again. By
    default glibc maps each of them anew and the kernel clears its pages, which costs a fifth of the
    time of a small photo and more than the arithmetic of a small network. See mallopt(3).

    Args:
        up_to: bytes at the end of the heap that are kept.

    Returns:
        Whether the allocator is glibc's and took both settings.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, up_to))
