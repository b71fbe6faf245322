"""Progress on stderr: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Counts what is done. Use it as a context manager."""

    def __init__(
        self, what: str, total: int = 0, *, done: int = 0, unit: str = "files", quiet: bool = False
    ) -> None:
        self._what = what
        self._total = total
        self._done = done
        self._unit = unit
        self._quiet = quiet
        self._spoke_at = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if not self._quiet and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=self._total, initial=self._done, desc=self._what, unit=f" {self._unit}", leave=False
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self) -> None:
        """One more is done."""
        self.show(self._done + 1, self._total)

    def say(self, line: str) -> None:
        """A line that stays, above the bar."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        elif not self._quiet:
            print(line, file=sys.stderr, flush=True)

    def show(self, done: int, total: int, note: str = "") -> None:
        """So much of so much is done; `note` says how it goes."""
        self._done, self._total = done, total
        if self._bar is not None:
            self._bar.total = total
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(done - self._bar.n)
        elif not self._quiet and time.monotonic() - self._spoke_at >= SECONDS_BETWEEN_LINES:
            self._spoke_at = time.monotonic()
            line = f"{self._what}: {done} of {total} {self._unit} {note}"
            print(line.rstrip(), file=sys.stderr, flush=True)
