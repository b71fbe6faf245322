"""Every compiled loop of the core. A kernel never validates, allocates results or decides; its caller does.

Kernels are plain functions jitted by name, so that tests can run the un-jitted twin (``kernel.py_func``). All
of them release the interpreter lock. Array names ending in ``_re`` and ``_im`` are the planes of a complex
array: planes, and slices taken once per row, are what lets the compiler vectorise.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache

SOURCES = hashlib.sha256(
    b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py")))
).hexdigest()
"""Of all kernels together: compiled code holds what it calls, from whichever file."""


def jit(function: Callable[..., Any]) -> Any:
    """Compile ``function`` on its first call and remember the result on disk when some place is writable.

    numba keeps compiled code beside the module or, failing that, in the user's cache folder, and raises when
    it may write to neither (a read-only install run by a user without a home). Only start-up time is lost
    then.
    """
    # No fastmath: it leaves rounding to the optimiser, and code compiled in this process rounded otherwise than the
    # same code loaded from the cache, so that a first render differed from every later one.
    compiled = numba.njit(nogil=True, error_model="numpy")(function)
    with suppress(RuntimeError):  # "no locator available"
        compiled._cache = _Cache(function)  # type: ignore[attr-defined]
    return compiled


class _Cache(FunctionCache):
    """numba's, but code is stale when any kernel's file has changed, not only its own, and no fault of the disk is
    an error: a cache that a power cut left half written is compiled anew, a full disk is done without.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file._source_stamp = (self._cache_file._source_stamp, SOURCES)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # whatever unpickling makes of other bytes
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):
            super().save_overload(sig, data)
