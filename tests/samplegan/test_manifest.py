import dataclasses
import json

import pytest

from samplegan.errors import ConfigError, InputError, MachineError
from samplegan.files import sha256_of
from samplegan.pack import manifest as manifest_module
from samplegan.pack.manifest import (
    JOURNAL_NAME,
    MANIFEST_NAME,
    FileRecord,
    Header,
    Journal,
    read_pack,
)

HEADER = Header(
    "1.0", {"name": "kick", "sha256": "ab" * 32, "category": "kick"}, {"seed": 0, "format": "wav"}
)


def record(index, file=None, sha256="0" * 64):
    return FileRecord(
        file=file or f"kick_{index:03}.wav",
        index=index,
        seed=0,
        attempt=0,
        sha256=sha256,
        duration_seconds=0.3,
        momentary_lufs=-14.0,
        integrated_lufs=None,
        true_peak_dbtp=-1.5,
        sample_peak_dbfs=-1.6,
        gain_db=3.0,
        limited_by="target",
        descriptors={"pitch_hz": None},
    )


def test_a_journal_is_read_back_before_and_after_sealing(tmp_path):
    journal = Journal(tmp_path, HEADER, {})
    for index in (3, 1, 2):
        journal.append(record(index))
    unsealed = read_pack(tmp_path)
    assert not unsealed.sealed and unsealed.header == HEADER and set(unsealed.records) == {1, 2, 3}
    journal.seal([9])
    assert [each.name for each in tmp_path.iterdir()] == [MANIFEST_NAME]
    sealed = read_pack(tmp_path)
    assert sealed.sealed and sealed.failed == [9]
    assert sealed.records == unsealed.records
    document = json.loads((tmp_path / MANIFEST_NAME).read_text())
    assert [each["index"] for each in document["files"]] == [1, 2, 3]
    assert document["count"] == 3


def test_the_order_of_finishing_changes_no_byte(tmp_path):
    for folder, order in (("a", (1, 2, 3)), ("b", (3, 1, 2))):
        journal = Journal(tmp_path / folder, HEADER, {})
        for index in order:
            journal.append(record(index))
        journal.seal([])
    assert (tmp_path / "a" / MANIFEST_NAME).read_bytes() == (tmp_path / "b" / MANIFEST_NAME).read_bytes()


@pytest.mark.parametrize("torn", [b'{"file": "kick', b"\x00\x00\x00", b"[1]", b"{}\n"])
def test_a_torn_line_is_cut_off(tmp_path, torn):
    journal = Journal(tmp_path, HEADER, {})
    journal.append(record(1))
    journal.close()
    with (tmp_path / JOURNAL_NAME).open("ab") as file:
        file.write(torn)
    pack = read_pack(tmp_path)
    assert set(pack.records) == {1}
    journal = Journal(tmp_path, HEADER, pack.records)
    journal.append(record(2))
    journal.close()
    assert set(read_pack(tmp_path).records) == {1, 2}


def test_every_prefix_of_a_journal_can_be_read(tmp_path):
    journal = Journal(tmp_path, HEADER, {})
    for index in (1, 2):
        journal.append(record(index))
    journal.close()
    whole = (tmp_path / JOURNAL_NAME).read_bytes()
    for size in range(0, len(whole), 7):
        (tmp_path / JOURNAL_NAME).write_bytes(whole[:size])
        pack = read_pack(tmp_path)
        complete_lines = whole[:size].count(b"\n")
        assert (pack is None) == (complete_lines == 0)
        assert pack is None or len(pack.records) >= complete_lines - 1
        again = Journal(tmp_path, HEADER, pack.records if pack else {})
        again.append(record(3))
        again.close()
        assert 3 in read_pack(tmp_path).records


def test_a_pack_being_extended_is_the_manifest_and_the_journal(tmp_path):
    Journal(tmp_path, HEADER, {1: record(1)}).seal([])
    journal = Journal(tmp_path, HEADER, {})
    journal.append(record(2))
    journal.close()
    pack = read_pack(tmp_path)
    assert set(pack.records) == {1, 2} and not pack.sealed


def test_only_files_with_the_recorded_bytes_are_present(tmp_path):
    (tmp_path / "kick_001.wav").write_bytes(b"one")
    (tmp_path / "kick_002.wav").write_bytes(b"changed")
    journal = Journal(tmp_path, HEADER, {})
    journal.append(record(1, sha256=sha256_of(tmp_path / "kick_001.wav")))
    journal.append(record(2))
    journal.append(record(3))
    journal.close()
    assert set(read_pack(tmp_path).present(tmp_path)) == {1}


@pytest.mark.parametrize("name", ["../x.wav", "/etc/passwd", "a/b.wav", ".hidden", "", "a\\b.wav", None, 3])
def test_a_record_names_a_plain_file(name):
    with pytest.raises((ValueError, TypeError)):
        FileRecord.from_dict(record(1).to_dict() | {"file": name})


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"generator": "other"}', "\udcff", '{"generator":"samplegan","schema_version":9}'],
)
def test_a_foreign_manifest_is_refused(tmp_path, text):
    (tmp_path / MANIFEST_NAME).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match="manifest"):
        read_pack(tmp_path)


def test_no_pack_is_none(tmp_path):
    assert read_pack(tmp_path) is None
    assert read_pack(tmp_path / "absent") is None


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (dataclasses.replace(HEADER, version="2.0"), "samplegan 2.0"),
        (dataclasses.replace(HEADER, options={"seed": 4, "format": "wav"}), "--seed 4, not 0"),
        (dataclasses.replace(HEADER, options={"seed": 0}), "--format"),
        (dataclasses.replace(HEADER, model=HEADER.model | {"sha256": "c" * 64}), "model"),
    ],
)
def test_a_different_header_names_what_differs(tmp_path, other, word):
    HEADER.require_same(HEADER, tmp_path)
    with pytest.raises(ConfigError, match=word):
        HEADER.require_same(other, tmp_path)


@pytest.mark.parametrize(
    ("option", "before", "now", "words"),
    [
        ("gates", True, False, "made with --gates, not --no-gates"),
        ("gates", False, True, "made with --no-gates, not --gates"),
        ("pitch", None, "F1", "made without --pitch, not with --pitch F1"),
        ("loudness_lufs", -14.0, -12.0, "made with --loudness -14.0, not -12.0"),
        ("length_seconds", 0.25, None, "made with --length 0.25, not without it"),
        ("made_by", "vary", None, "made by `samplegan vary`, not `samplegan render`"),
        (
            "from",
            [{"file": "boom.wav", "sha256": "a" * 64}],
            [{"file": "bang.wav", "sha256": "b" * 64}],
            "made from boom.wav (aaaaaaaaaaaa), not bang.wav (bbbbbbbbbbbb)",
        ),
    ],
)
def test_what_differs_is_said_as_it_is_typed(tmp_path, option, before, now, words):
    earlier, later = (
        dataclasses.replace(HEADER, options=HEADER.options | ({} if value is None else {option: value}))
        for value in (before, now)
    )
    with pytest.raises(ConfigError) as caught:
        later.require_same(earlier, tmp_path)
    assert words in caught.value.what


def test_a_full_disk_leaves_no_torn_line(tmp_path, monkeypatch):
    journal = Journal(tmp_path, HEADER, {})
    journal.append(record(1))

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(manifest_module.os, "fsync", full)
    with pytest.raises(MachineError, match="disk is full"):
        journal.append(record(2))
    monkeypatch.undo()
    assert 2 not in journal.records
    journal.append(record(3))
    journal.close()
    assert set(read_pack(tmp_path).records) == {1, 3}


def test_numbers_that_are_not_json_are_refused(tmp_path):
    journal = Journal(tmp_path, HEADER, {})
    with pytest.raises(ValueError, match="JSON"):
        journal.append(dataclasses.replace(record(1), gain_db=float("nan")))
    journal.close()
