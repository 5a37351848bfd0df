"""One BLAS thread inside training and sampling.

The matrix products here are small. A second thread gains little on an idle machine, and beside
another busy process the two wait for each other, which has made an example of 4 s take 59 s. With
one thread the numbers also do not depend on how many cores there are.

It needs threadpoolctl; without it nothing is limited. Set OPENBLAS_NUM_THREADS (or what your BLAS
reads) to choose another number: then nothing is limited either.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

CHOSEN = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "OMP_NUM_THREADS")

_lock = Lock()
_inside: list[list[int]] = []  # one entry for each that is inside: the numbers that it found


@contextmanager
def one_thread() -> Iterator[None]:
    """NumPy's BLAS runs on one thread inside, and as before afterwards.

    The number belongs to the process. The last to leave restores what the first has found.
    """
    pools = _pools()
    if not pools:
        yield
        return
    with _lock:
        _inside.append(_inside[0] if _inside else [pool.num_threads for pool in pools])
        for pool in pools:
            pool.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            before = _inside.pop()
            if not _inside:
                for pool, number in zip(pools, before):
                    pool.set_num_threads(number)


@cache
def _pools() -> list[Any]:
    """The BLAS libraries that are loaded when this is first asked for; none if a number is set."""
    if any(name in os.environ for name in CHOSEN):
        return []
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return []
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)
