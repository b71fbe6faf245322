"""MANIFEST.json, and the journal that becomes it.

While a pack is being rendered, `.samplegan-render.ndjson` in its folder grows by one line per file: a header
line with everything that the bytes depend on, then each file's record, written ahead of the file itself. A
record whose file is missing is a file still to be made, so a render can be killed at any moment. When every
file is there the journal is sealed into MANIFEST.json, which holds no times and no paths: two renders with
the same seed make the same manifest.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, BinaryIO

from samplegan.errors import ConfigError, InputError, MachineError
from samplegan.files import claim, machine_error, sha256_of, write_json

SCHEMA = 1
MANIFEST_NAME = "MANIFEST.json"
JOURNAL_NAME = ".samplegan-render.ndjson"
_HEADER_KEY = "samplegan_render"
_RESUME_ADVICE = "render into another folder, or start over here with --overwrite"


@dataclass(frozen=True)
class Header:
    """Everything that the bytes of a pack depend on, apart from each file's index."""

    version: str  # of samplegan
    model: dict[str, Any]  # name, sha256, category, architecture, licence
    options: dict[str, Any]  # seed, format, loudness …

    def to_dict(self) -> dict[str, Any]:
        return {"generator": "samplegan", **asdict(self)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Header:
        return cls(str(document["version"]), dict(document["model"]), dict(document["options"]))

    def require_same(self, earlier: Header, folder: Path) -> None:
        """Raises ConfigError naming what differs, if files made under `earlier` would not match those made
        now.
        """
        for difference in self._differences(earlier):
            raise ConfigError(f"this pack was made {difference}", file=folder, hint=_RESUME_ADVICE)

    def _differences(self, earlier: Header) -> Iterator[str]:
        if earlier.version != self.version:
            yield f"with samplegan {earlier.version}, not {self.version}"
        if (before := _model_words(earlier.model)) != (now := _model_words(self.model)):
            yield f"with model {before}, not {now}"
        for option in {**earlier.options, **self.options}:
            if (was := earlier.options.get(option)) != (will_be := self.options.get(option)):
                yield _contrast(option, was, will_be)


def _contrast(option: str, before: Any, now: Any) -> str:
    """Two values of an option, as they are typed.

    >>> _contrast("seed", 4, 0), _contrast("gates", True, False), _contrast("length_seconds", None, 0.25)
    ('with --seed 4, not 0', 'with --gates, not --no-gates', 'without --length, not with --length 0.25')
    """
    name = f"--{option.split('_')[0]}"
    if option == "made_by":  # a command
        return f"by `samplegan {before or 'render'}`, not `samplegan {now or 'render'}`"
    if option == "from":  # files that are arguments of one
        return f"from {_file_words(before)}, not {_file_words(now)}"
    if isinstance(before, bool) and isinstance(now, bool):
        with_it, without = name, name.replace("--", "--no-")
        return f"with {with_it}, not {without}" if before else f"with {without}, not {with_it}"
    if before is None or now is None:
        given = f"with {name} {now if before is None else before}"
        return f"without {name}, not {given}" if before is None else f"{given}, not without it"
    return f"with {name} {before}, not {now}"


def _file_words(files: Iterable[Mapping[str, str]] | None) -> str:
    return (
        " and ".join(f"{each.get('file')} ({str(each.get('sha256'))[:12]})" for each in files or ())
        or "no file"
    )


def _model_words(model: Mapping[str, Any]) -> str:
    return f"{model.get('name')} ({str(model.get('sha256'))[:12]})"


@dataclass(frozen=True)
class FileRecord:
    """One rendered file: where it came from and what it measures."""

    file: str
    index: int
    seed: int
    attempt: int  # how many sounds before it were silent or broken
    sha256: str
    duration_seconds: float
    momentary_lufs: float
    integrated_lufs: float | None  # null under 400 ms
    true_peak_dbtp: float
    sample_peak_dbfs: float
    gain_db: float
    limited_by: str  # 'target' (reached), 'ceiling' or 'max_gain'
    descriptors: dict[str, Any] = field(default_factory=dict)
    candidate: int | None = None  # which of the model's sounds it is; null in packs of earlier versions
    nearest_training: float | None = None  # distance; under the model's own limit it would count as a copy

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> FileRecord:
        record = cls(**{each.name: document[each.name] for each in fields(cls) if each.name in document})
        if not isinstance(record.index, int) or record.index < 1 or not _is_plain_name(record.file):
            raise ValueError(f"not a record of a pack's file: {record.file!r}")
        return record


def _is_plain_name(name: object) -> bool:
    """Whether `name` is a file right inside the pack's folder: nothing else may ever be removed or replaced."""
    if not isinstance(name, str) or not name.isprintable() or not name:
        return False
    return name == Path(name).name and not name.startswith(".") and "\\" not in name


@dataclass(frozen=True)
class Pack:
    """What a folder holds according to its own manifest or journal."""

    header: Header
    records: dict[int, FileRecord]  # by index
    failed: list[int]
    sealed: bool

    def present(self, folder: Path) -> dict[int, FileRecord]:
        """The records whose file is there with exactly the recorded bytes."""
        return {
            index: record
            for index, record in self.records.items()
            if (folder / record.file).is_file() and sha256_of(folder / record.file) == record.sha256
        }


def read_pack(folder: Path) -> Pack | None:
    """The pack in `folder`, finished or not; None if there is none.

    Raises InputError if a manifest is there that is not a pack's.
    """
    sealed = _read_manifest(folder / MANIFEST_NAME) if (folder / MANIFEST_NAME).is_file() else None
    journal, _ = _read_journal(folder / JOURNAL_NAME)
    if journal is None:
        return sealed
    if sealed is not None and sealed.header == journal.header:  # a finished pack that is being extended
        return replace(journal, records=sealed.records | journal.records)
    return journal


def _read_manifest(path: Path) -> Pack:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["generator"] != "samplegan" or document["schema_version"] != SCHEMA:
            raise ValueError("another program's, or another version's")
        records = [FileRecord.from_dict(each) for each in document["files"]]
        return Pack(
            Header.from_dict(document),
            {each.index: each for each in records},
            document["failed"],
            sealed=True,
        )
    except OSError as error:
        raise InputError(f"cannot read the manifest: {error.strerror}", file=path) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            "this manifest is not one that samplegan can read", file=path, hint="render into another folder"
        ) from error


def _read_journal(path: Path) -> tuple[Pack | None, int]:
    """The journal's pack up to the first torn line, and how many bytes that is; None if there is no whole
    header.
    """
    header: Header | None = None
    records: dict[int, FileRecord] = {}
    valid_bytes = 0
    for line in path.read_bytes().splitlines(keepends=True) if path.is_file() else []:
        try:
            document = json.loads(line)
            if header is None:
                if document[_HEADER_KEY] != SCHEMA:
                    break
                header = Header.from_dict(document)
            else:
                record = FileRecord.from_dict(document)
                records[record.index] = record
        except (ValueError, KeyError, TypeError):
            break
        if not line.endswith(b"\n"):
            break
        valid_bytes += len(line)
    pack = None if header is None or valid_bytes == 0 else Pack(header, records, [], sealed=False)
    return pack, valid_bytes


def manifest_document(
    header: Header, records: Mapping[int, FileRecord], failed: Iterable[int]
) -> dict[str, Any]:
    """The content of MANIFEST.json: sorted by index, with nothing that changes from one run to the next."""
    return {
        "schema_version": SCHEMA,
        **header.to_dict(),
        "count": len(records),
        "failed": sorted(failed),
        "files": [records[index].to_dict() for index in sorted(records)],
    }


class Journal:
    """The journal of one render: appended to by several threads, each line on the disk before its file is
    made.
    """

    def __init__(self, folder: Path, header: Header, records: Mapping[int, FileRecord]) -> None:
        """Start the journal with what is there already. Raises MachineError if another render writes here."""
        self.folder = folder
        self.header = header
        self.records = dict(records)
        self._path = folder / JOURNAL_NAME
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = self._path.open("ab", buffering=0)
        except OSError as error:
            raise machine_error(error, self._path) from error
        try:
            claim(self._file, folder, "rendering")
        except MachineError:
            self._file.close()
            raise
        earlier, valid_bytes = _read_journal(self._path)
        if earlier is not None and earlier.header == header:
            self._truncate(valid_bytes)  # what a killed render tore off
            return
        self._truncate(0)
        lines = [{_HEADER_KEY: SCHEMA, **header.to_dict()}, *(each.to_dict() for each in records.values())]
        self._write("".join(map(_line, lines)))

    def append(self, record: FileRecord) -> None:
        """Put one record on the disk. Its file may be written after this returns."""
        with self._lock:
            self._write(_line(record.to_dict()))
            self.records[record.index] = record

    def seal(self, failed: Iterable[int]) -> Path:
        """Write MANIFEST.json and remove the journal."""
        path = self.folder / MANIFEST_NAME
        write_json(path, manifest_document(self.header, self.records, failed))
        self.close()
        self._path.unlink(missing_ok=True)
        return path

    def close(self) -> None:
        self._file.close()

    def _truncate(self, size: int) -> None:
        os.ftruncate(self._file.fileno(), size)

    def _write(self, text: str) -> None:
        data = text.encode()
        start = os.fstat(self._file.fileno()).st_size
        try:
            while data:
                data = data[self._file.write(data) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            with suppress(OSError):  # a torn line would swallow the next one
                self._truncate(start)
            raise machine_error(error, self._path) from error


def _line(document: Mapping[str, Any]) -> str:
    return json.dumps(document, allow_nan=False, separators=(",", ":")) + "\n"
