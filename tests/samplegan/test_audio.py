"""Audio files in and out."""

from __future__ import annotations

import io
import os
import struct
import sys
import tracemalloc
import wave
from pathlib import Path

import numpy as np
import pytest
import scipy.io.wavfile
import soundfile
import wavinfo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samplegan import audio
from samplegan.errors import InputError, UnreadableAudio

sys.path.insert(0, str(Path(__file__).parent))
import corpus

# --- finding


def test_finds_by_extension_sorted_by_bytes_without_rubbish(tmp_path):
    for name in ("b.WAV", "a.flac", "Z.aif", "x/c.ogg", "x/notes.txt", "._a.wav", "__MACOSX/d.wav", "é.mp3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "x" / "back").symlink_to(tmp_path)
    found = [str(path.relative_to(tmp_path)) for path in audio.find_audio_files(tmp_path)]
    assert found == ["Z.aif", "a.flac", "b.WAV", "x/c.ogg", "é.mp3"]


@pytest.mark.parametrize("name", ["missing", "file.wav"])
def test_a_folder_that_cannot_be_read_is_an_error(tmp_path, name):
    (tmp_path / "file.wav").touch()
    with pytest.raises(InputError, match="folder"):
        audio.find_audio_files(tmp_path / name)


def test_a_name_that_is_no_utf_8_is_read(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/kick\xff.wav"))
    corpus.write(tmp_path / "kick.wav", corpus.drum()).rename(path)
    assert audio.find_audio_files(tmp_path) == [path]
    assert audio.read_audio(path).samples.shape == (1, 11_025)


# --- reading


@pytest.mark.parametrize("bad", corpus.BAD, ids=lambda bad: bad.name)
def test_bad_files_are_refused_in_clear_words(tmp_path, bad):
    path = corpus.make_bad(tmp_path, bad.name)
    with pytest.raises(UnreadableAudio, match=bad.word) as refused:
        audio.load_one_shot(path, 0.5)
    assert refused.value.file == path
    assert refused.value.exit_code == 3
    if bad.name in corpus.READABLE_BUT_NO_SOUND:
        audio.read_audio(path)


def test_an_hour_is_never_loaded(tmp_path):
    path = corpus.make_bad(tmp_path, "hour.wav")
    assert audio.probe(path).duration_s == pytest.approx(3_600.0)
    tracemalloc.start()
    with pytest.raises(UnreadableAudio):
        audio.read_audio(path)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 5e6


@pytest.mark.parametrize("name, subtype, rate_hz, channels", corpus.GOOD, ids=lambda value: str(value))
def test_good_files_become_aligned_stereo(tmp_path, name, subtype, rate_hz, channels):
    sound = corpus.drum(rate_hz=rate_hz, channels=channels)
    path = corpus.write(tmp_path / name, sound, rate_hz=rate_hz, subtype=subtype)
    info = audio.probe(path)
    assert (info.rate_hz, info.channels) == (rate_hz, channels)
    assert not [warning for warning in info.warnings if "channels" not in warning]
    source = audio.read_audio(path)
    assert source.samples.dtype == np.float32
    assert source.samples.shape[0] == channels
    assert bool(source.warnings) == (channels > 2)
    loaded = audio.load_one_shot(path, 0.4)
    assert loaded.shape == (2, 17_640)
    assert loaded.dtype == np.float32
    assert loaded.flags.c_contiguous
    level = np.abs(loaded).max(axis=0)
    assert np.argmax(level >= 0.01 * level.max()) == audio.ONSET_SAMPLE
    assert not loaded[:, [0, -1]].any()
    if channels == 1:
        assert np.array_equal(loaded[0], loaded[1])


def test_six_channels_fold_down_as_documented():
    samples = np.eye(6, dtype=np.float32)
    info = audio.AudioInfo(Path("x.wav"), "WAV", "PCM_16", 44_100, 6, 6, 100)
    stereo = audio.to_stereo_44k(audio.SourceAudio(samples, info))
    half = np.sqrt(0.5)
    expected = [[1, 0, half, 0, half, 0], [0, 1, half, 0, 0, half]]
    assert np.allclose(stereo, expected)


@pytest.mark.parametrize("form, name", [("WAV", "cut.wav"), ("AIFF", "cut.aiff")])
def test_truncated_data_is_read_with_a_warning(tmp_path, form, name):
    path = corpus.write(tmp_path / name, corpus.drum(), form=form)
    path.write_bytes(path.read_bytes()[:6_000])
    source = audio.read_audio(path)
    assert 2_000 < source.samples.shape[1] < 3_000
    assert any("cut short" in warning for warning in source.warnings)


@pytest.mark.parametrize("size", [0, 0xFFFF_FFFF])
def test_sizes_that_a_streaming_writer_left_open_are_accepted(tmp_path, size):
    contents = bytearray(corpus.riff(corpus.format_chunk(), (b"data", corpus.pcm_16(corpus.drum()))))
    contents[4:8] = struct.pack("<I", size)
    if size:
        contents[40:44] = struct.pack("<I", size)
    (tmp_path / "x.wav").write_bytes(contents)
    source = audio.read_audio(tmp_path / "x.wav")
    assert source.samples.shape[1] == 11_025
    assert source.warnings == ()


def test_twelve_bits_in_sixteen_and_trailing_junk(tmp_path):
    coarse = (np.frombuffer(corpus.pcm_16(corpus.drum()), "<i2") & ~0xF).tobytes()
    (tmp_path / "x.wav").write_bytes(corpus.riff(corpus.format_chunk(), (b"data", coarse)) + b"junk" * 30)
    assert audio.read_audio(tmp_path / "x.wav").samples.shape == (1, 11_025)


def test_the_content_counts_and_not_the_name(tmp_path):
    corpus.write(tmp_path / "x.flac", corpus.drum()).rename(tmp_path / "x.wav")
    info = audio.probe(tmp_path / "x.wav")
    assert info.format == "FLAC"
    assert any("holds FLAC" in warning for warning in info.warnings)


def test_denormal_numbers_become_zero(tmp_path):
    sound = corpus.drum()
    sound[0, -100:] = 1e-40
    path = corpus.write(tmp_path / "x.wav", sound, subtype="FLOAT")
    assert not audio.read_audio(path).samples[0, -100:].any()


def test_a_constant_offset_is_removed(tmp_path):
    sound = np.pad(corpus.drum(), ((0, 0), (0, 4_410)))
    plain = audio.load_one_shot(corpus.write(tmp_path / "a.wav", sound, subtype="FLOAT"), 0.3)
    offset = audio.load_one_shot(corpus.write(tmp_path / "b.wav", sound + 0.1, subtype="FLOAT"), 0.3)
    assert np.allclose(plain, offset, atol=1e-6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.tuples(st.integers(0, 3_043), st.integers(0, 255)), min_size=1, max_size=12))
def test_a_damaged_file_is_read_or_refused_but_never_crashes(tmp_path, edits):
    path = tmp_path / "fuzzed.wav"
    contents = bytearray(
        corpus.riff(corpus.format_chunk(), (b"data", corpus.pcm_16(corpus.drum(0.034))[:3_000]))
    )
    for position, value in edits:
        contents[position % (44 if position % 2 else len(contents))] = value  # half of them in the header
    path.write_bytes(contents)
    try:
        source = audio.read_audio(path)
    except UnreadableAudio:
        return
    assert np.isfinite(source.samples).all()
    assert source.samples.shape[1] > 0


# --- aligning


@settings(max_examples=60, deadline=None)
@given(
    lead=st.integers(0, 3_000),
    samples=st.integers(200, 6_000),
    length=st.integers(64, 8_000),
    gain=st.floats(1e-3, 1.0),
)
def test_the_onset_stands_at_its_sample_and_nothing_is_stretched(lead, samples, length, gain):
    time = np.arange(samples)
    sound = np.cos(0.05 * time) * np.exp(-time / samples)
    stereo = (gain * np.stack([np.pad(sound, (lead, 0))] * 2)).astype(np.float32)
    aligned = audio.align(stereo, length)
    assert aligned.shape == (2, length)
    assert not aligned[:, : audio.ONSET_SAMPLE].any()
    assert not aligned[:, -1].any()
    kept = min(samples, length - audio.ONSET_SAMPLE)
    untouched = kept - max(kept // 10, 1)  # the fade takes a tenth at most
    expected = stereo[:, lead : lead + untouched]
    assert np.array_equal(aligned[:, audio.ONSET_SAMPLE : audio.ONSET_SAMPLE + untouched], expected)


def test_silence_aligns_to_silence():
    assert not audio.align(np.zeros((2, 500), np.float32), 300).any()
    assert audio.align(np.zeros((2, 0), np.float32), 300).shape == (2, 300)


def test_aligning_twice_changes_nothing_but_the_fade():
    once = audio.align(np.pad(corpus.drum(channels=2), ((0, 0), (500, 0))), 9_000)
    twice = audio.align(once, 9_000)
    assert np.array_equal(once[:, 44:8_500], twice[:, 44:8_500])


# --- writing


@pytest.fixture
def stereo():
    return corpus.drum(0.1, channels=2, seed=3)[:, :4_401]  # an odd number of frames


def test_independent_readers_agree_about_our_wav(tmp_path, stereo):
    info = {"title": "Kick – früh", "artist": "A", "comment": "odd", "software": "samplegan 0.1"}
    path = tmp_path / "x.wav"
    path.write_bytes(audio.wav_bytes(stereo, info))
    expected = audio.quantise_24(stereo)
    assert np.abs(expected / 2**23 - stereo).max() <= 0.5 / 2**23 * 1.0001

    samples, rate = soundfile.read(path, dtype="int32")
    assert rate == 44_100
    assert np.array_equal(samples.T >> 8, expected)
    rate, samples = scipy.io.wavfile.read(path)
    assert np.array_equal(samples.T >> 8, expected)
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()) == (
            2,
            3,
            44_100,
            4_401,
        )
        frames = np.frombuffer(file.readframes(4_401), np.uint8).reshape(-1, 3).astype(np.int32)
    values = frames[:, 0] | frames[:, 1] << 8 | ((frames[:, 2] ^ 0x80) - 0x80) << 16
    assert np.array_equal(values.reshape(-1, 2).T, expected)
    read = wavinfo.WavInfoReader(str(path))
    assert (read.info.title, read.info.artist, read.info.comment) == ("Kick - fruh", "A", "odd")
    assert read.data.frame_count == 4_401
    assert path.stat().st_size == struct.unpack("<I", path.read_bytes()[4:8])[0] + 8
    assert audio.probe(path).warnings == ()


def test_odd_data_is_padded():
    contents = audio.wav_bytes(np.array([[0.5]], np.float32))
    assert len(contents) % 2 == 0
    assert soundfile.read(io.BytesIO(contents))[0] == pytest.approx(0.5)


def test_flac_holds_the_same_samples(stereo):
    info = {"title": "x", "software": "y", "keywords": "z"}
    contents = audio.flac_bytes(stereo, info)
    samples, _ = soundfile.read(io.BytesIO(contents), dtype="int32")
    assert np.array_equal(samples.T >> 8, audio.quantise_24(stereo))
    assert contents == audio.flac_bytes(stereo, info)


def test_bytes_are_deterministic(stereo):
    assert audio.wav_bytes(stereo, {"title": "x"}) == audio.wav_bytes(stereo.copy(), {"title": "x"})


def test_values_over_full_scale_saturate():
    integers = audio.quantise_24(np.array([[1.5, -1.5, 1.0, -1.0]], np.float32))
    assert integers.tolist() == [[8_388_607, -8_388_608, 8_388_607, -8_388_608]]


@pytest.mark.parametrize("writer", [audio.wav_bytes, audio.flac_bytes])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_a_number_is_never_written(writer, value):
    with pytest.raises(ValueError, match="not numbers"):
        writer(np.array([[0.0, value]], np.float32))


def test_an_unknown_info_field_is_an_error(stereo):
    with pytest.raises(ValueError, match="'mood'"):
        audio.wav_bytes(stereo, {"mood": "dark"})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-2.0, 2.0, width=32), min_size=1, max_size=50))
def test_reading_back_what_was_written(values):
    sound = np.array([values, values[::-1]], np.float32)
    samples, _ = soundfile.read(io.BytesIO(audio.wav_bytes(sound)), always_2d=True)
    assert np.abs(samples.T - np.clip(sound, -1.0, 1.0 - 2.0**-23)).max() <= 2.0**-24
