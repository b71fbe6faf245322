"""Files appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from pathlib import Path
from typing import IO, Any

from samplegan.errors import MachineError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_FREE_SPACE = "free some space, then run the same command again (render and train: with --resume)"
_REFUSALS = {
    errno.ENOSPC: ("the disk is full", _FREE_SPACE),
    errno.EDQUOT: ("the disk quota is used up", _FREE_SPACE),
    errno.EFBIG: ("the file would exceed the allowed size", "raise the file-size limit (ulimit -f)"),
    errno.EROFS: ("the disk is read-only", "choose another folder"),
    errno.EACCES: ("permission denied", "choose a folder that you may write to"),
    errno.EPERM: ("permission denied", "choose a folder that you may write to"),
    errno.ENOTDIR: ("a part of this path is a file, not a folder", "choose another place"),
    errno.EEXIST: ("a file is where a folder should be", "choose another place"),
    errno.EISDIR: ("a folder of this name is in the way", "choose another name"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
    errno.ELOOP: ("a symbolic link that leads back to itself", "choose another place"),
}


def machine_error(error: OSError, path: Path | str) -> MachineError:
    """The words for an operating-system refusal to write `path`."""
    reason, hint = _REFUSALS.get(error.errno or 0, (error.strerror or str(error), None))
    return MachineError(f"cannot write: {reason}", file=path, hint=hint)


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path` through a temporary file in the same folder, fsync and rename.

    Raises MachineError if the disk is full, read-only or forbidden; then nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise machine_error(error, path) from error
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document atomically, keys in the order given, with a final newline."""
    write_atomic(path, (json.dumps(document, indent=2, allow_nan=False) + "\n").encode())


def remove_stale_temporaries(folder: Path) -> None:
    """Remove what a killed `write_atomic` left in `folder` (never anything else)."""
    for stale in folder.glob(".*.tmp-*"):
        pid = stale.name.rpartition("-")[2]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            stale.unlink(missing_ok=True)


def claim(file: IO[Any], folder: Path, deed: str) -> None:
    """Lock an open file in `folder` until it is closed, so that no second process does the same `deed` there.

    Raises MachineError if another process holds it. Where there are no locks, nothing is locked.
    """
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise MachineError(
            f"another samplegan is {deed} here",
            file=folder,
            hint="wait for it to finish, or choose another folder or name",
        ) from error
    except OSError:  # a file system without locks
        return


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
