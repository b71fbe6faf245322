"""What can go wrong, and the exit code of each kind.

| code      | meaning                                                                  |
|-----------|--------------------------------------------------------------------------|
| 0         | done                                                                     |
| 1         | failure: anything that fits none of the others                           |
| 2         | usage or configuration: a wrong option, key, type or name                |
| 3         | input unusable: no readable audio, a corrupt model                       |
| 4         | partial: some files failed or were skipped, or nothing had to be written |
| 5         | environment: no space, no permission, no such device                     |
| 130 / 143 | stopped by Ctrl-C / SIGTERM, with what was done so far kept              |
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class SampleganError(Exception):
    """An error that a user can act on: what happened, to which file, and what to do about it."""

    exit_code = 1

    def __init__(self, what: str, *, file: Path | str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.file = file
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what]
        if self.file is not None:
            lines.append(f"  file: {self.file}")
        if self.hint is not None:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class ConfigError(SampleganError):
    """A wrong option, configuration key, type or name."""

    exit_code = 2


class InputError(SampleganError):
    """Input that exists but cannot be used: no readable audio, too few files, a corrupt model."""

    exit_code = 3


class UnreadableAudio(InputError):
    """One audio file that cannot be used. In a folder it is skipped and counted."""


class PartialError(SampleganError):
    """Some files failed or were skipped; the rest was done."""

    exit_code = 4


class MachineError(SampleganError):
    """The machine refused: no space, no permission, no such device."""

    exit_code = 5


class Stopped(SampleganError):
    """Stopped by a signal after saving; `exit_code` is 128 plus the signal's number."""

    def __init__(self, what: str, *, signal_number: int, hint: str | None = None) -> None:
        super().__init__(what, hint=hint)
        self.exit_code = 128 + signal_number


def did_you_mean(word: str, kind: str, choices: Iterable[str]) -> str:
    """The hint for a word that is none of the choices: the one that was probably meant, and all of them.

    >>> did_you_mean("hat_close", "categories", ["kick", "hat_closed"])
    "did you mean 'hat_closed'? categories: kick, hat_closed"
    """
    known = list(choices)
    near = difflib.get_close_matches(word, known, n=1)
    return (f"did you mean '{near[0]}'? " if near else "") + f"{kind}: {', '.join(known)}"
