"""Ctrl-C and SIGTERM, heard politely."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


class StopSignal:
    """The first Ctrl-C or SIGTERM asks: what is in flight is finished and saved. A second one kills."""

    def __init__(self) -> None:
        self.number: int | None = None

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Catch signals inside this block (where Python allows it: in the main thread)."""
        try:
            before = {number: signal.signal(number, self._hear) for number in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:
            yield
            return
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, _frame: object) -> None:
        self.number = number
        signal.signal(number, signal.SIG_DFL)
