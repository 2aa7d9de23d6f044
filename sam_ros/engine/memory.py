"""Memory of the process: kept from frame to frame, given back when the model goes.

glibc asks the system for every large block anew and returns it at once. A forward pass of
MobileSAM allocates 2 GB that way, which the system clears page by page: half a million page
faults, and a third to a half of the pass's CPU time. Measured: docs/performance.md.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8  # names of mallopt(3)
_HUGE = 1 << 30  # bytes; no tensor of a forward pass is as large
_HUGE_PAGE = 1 << 21
_MADV_HUGEPAGE = 14


def keep_memory() -> None:
    """Let the process keep what it frees, for the next frame; :func:`release_memory` ends that.

    To be called before threads start: one that has its own arena asks the system for large blocks
    all the same. Does nothing where the C library is not glibc.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_MMAP_THRESHOLD, _HUGE)
        libc.mallopt(_TRIM_THRESHOLD, _HUGE)
        libc.mallopt(_ARENA_MAX, 1)
        _take_huge_pages(libc)


def _take_huge_pages(libc: ctypes.CDLL) -> None:
    """Let the next GB of the heap come in pages of 2 MB, where the system has them.

    Aligned blocks rarely fit where one of their size was, so the heap still grows for many frames,
    4 kB by fault. Memory is taken from the system when it is touched, so a GB costs none.
    """
    libc.mallopt(_TOP_PAD, _HUGE)
    libc.sbrk.restype = libc.malloc.restype = ctypes.c_void_p
    libc.sbrk.argtypes, libc.malloc.argtypes = (ctypes.c_ssize_t,), (ctypes.c_size_t,)
    libc.free.argtypes = (ctypes.c_void_p,)
    libc.madvise.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    start = -(-(libc.sbrk(0) or 0) // _HUGE_PAGE) * _HUGE_PAGE
    libc.free(libc.malloc(_HUGE_PAGE))  # larger than what is free: the heap grows, by its padding
    libc.madvise(start, max(0, (libc.sbrk(0) or 0) - start), _MADV_HUGEPAGE)


def release_memory() -> None:
    """Give the memory of dropped objects back to the device and to the system."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
