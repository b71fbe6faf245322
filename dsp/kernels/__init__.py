"""Every compiled loop of the core. A kernel never validates, allocates results or decides; its caller does.

Kernels are plain functions jitted by name, so that tests can run the un-jitted twin (``kernel.py_func``). All
of them release the interpreter lock. Array names ending in ``_re`` and ``_im`` are the planes of a complex
array: planes, and slices taken once per row, are what lets the compiler vectorise.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numba


def jit(function: Callable[..., Any]) -> Any:
    """Compile ``function`` on its first call and remember the result on disk when some place is writable.

    numba keeps compiled code beside the module or, failing that, in the user's cache folder, and raises when
    it may write to neither (a read-only install run by a user without a home). Only start-up time is lost
    then.
    """
    # No fastmath: it leaves rounding to the optimiser, and code compiled in this process rounded otherwise than the
    # same code loaded from the cache, so that a first render differed from every later one.
    compiled = partial(numba.njit, nogil=True, error_model="numpy")
    try:
        return compiled(cache=True)(function)
    except RuntimeError:  # "no locator available"
        return compiled()(function)
