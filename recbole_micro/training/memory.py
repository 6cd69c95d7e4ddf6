"""Memory that the C library keeps between the steps of a training on the CPU."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
LARGE = 2**26  # bytes: the vectors of 250,000 users of width 64


def keep_freed_memory(largest: int = 0) -> None:
    """Let the process keep blocks up to 1 GB, and 2 GB in all, beyond what it uses (glibc only).

    glibc gives large blocks back to the system, which hands them out again page by page, filled with zeros.
    Without that an epoch of FREEDOM takes 0.7 x, of SGL 0.6 x; the price on Baby is 1 to 6 % more peak
    memory, for SGL 60 %.  Where the `largest` table of a model has LARGE bytes, blocks of LARGE are given
    back: between such blocks a third of the memory would lie idle.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if set_option is None:
        return
    block = 2**30 if largest < LARGE else LARGE
    # Older releases refuse more than 32 MB; with neither, the second option alone would slow things down.
    if set_option(M_MMAP_THRESHOLD, block) or set_option(M_MMAP_THRESHOLD, 2**25):
        set_option(M_TRIM_THRESHOLD, 2**31 - 1)
