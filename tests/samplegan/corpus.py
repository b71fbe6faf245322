"""A seeded generator of audio files, good and bad; nothing of it is stored in the repository."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

RATE = 44_100
_FORMS = {".wav": "WAV", ".aif": "AIFF", ".opus": "OGG", ".mp3": "MP3"}  # names that libsndfile does not know


@dataclass(frozen=True)
class Bad:
    """A file that must be refused, and a word that the reason must contain."""

    name: str
    word: str


def drum(seconds: float = 0.25, *, rate_hz: int = RATE, channels: int = 1, seed: int = 0) -> np.ndarray:
    """A decaying 180 Hz tone with some noise, float32 [channel, sample], peak 0.7; no click at the ends."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    tone = np.sin(2 * np.pi * 180.0 * time) * np.exp(-time / 0.04)
    sound = tone + 0.1 * random.standard_normal((channels, time.size)) * np.exp(-time / 0.03)
    sound *= np.minimum(1.0, time / 0.0005) * np.minimum(1.0, (time[-1] - time) / 0.005)
    return (0.7 * sound / np.abs(sound).max()).astype(np.float32)


def write(
    path: Path, audio: np.ndarray, *, rate_hz: int = RATE, subtype: str | None = None, form: str | None = None
) -> Path:
    """Write `audio[channel, sample]` with libsndfile."""
    form = form or _FORMS.get(path.suffix.lower())
    soundfile.write(path, audio.T, rate_hz, subtype=subtype, format=form)
    return path


def riff(*chunks: tuple[bytes, bytes], size: int | None = None, form: bytes = b"WAVE") -> bytes:
    """A RIFF file of raw chunks; `size` replaces the true size."""
    body = form + b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def format_chunk(
    *, tag: int = 1, channels: int = 1, rate_hz: int = RATE, bits: int = 16
) -> tuple[bytes, bytes]:
    frame_bytes = channels * bits // 8
    return b"fmt ", struct.pack(
        "<HHIIHH", tag, channels, rate_hz, (rate_hz * frame_bytes) & 0xFFFF_FFFF, frame_bytes & 0xFFFF, bits
    )


def pcm_16(audio: np.ndarray) -> bytes:
    return np.round(audio.T * 32_767).astype("<i2").tobytes()


GOOD = (
    ("u8.wav", "PCM_U8", RATE, 1),
    ("s16.wav", "PCM_16", RATE, 2),
    ("s24.wav", "PCM_24", 48_000, 2),
    ("s32.wav", "PCM_32", 96_000, 1),
    ("float.wav", "FLOAT", RATE, 2),
    ("double.wav", "DOUBLE", RATE, 1),
    ("ulaw.wav", "ULAW", 8_000, 1),
    ("adpcm.wav", "MS_ADPCM", 22_050, 1),
    ("high_rate.wav", "PCM_24", 192_000, 2),
    ("odd_rate.wav", "PCM_16", 44_101, 1),
    ("three.wav", "PCM_16", RATE, 3),
    ("six.wav", "PCM_16", RATE, 6),
    ("eight.wav", "PCM_16", RATE, 8),
    ("UPPER.WAV", "PCM_16", RATE, 1),
    ("s24.flac", "PCM_24", RATE, 2),
    ("s16.aiff", "PCM_16", RATE, 2),
    ("s24.aif", "PCM_24", RATE, 1),
    ("vorbis.ogg", "VORBIS", RATE, 2),
    ("opus.opus", "OPUS", 48_000, 2),
    ("layer3.mp3", "MPEG_LAYER_III", RATE, 2),
)

BAD = (
    Bad("empty.wav", "empty"),
    Bad("one_byte.wav", "cannot be read as audio"),
    Bad("text.wav", "cannot be read as audio"),
    Bad("zeros.wav", "cannot be read as audio"),
    Bad("no_fmt.wav", "cannot be read as audio"),
    Bad("no_data.wav", "cannot be read as audio"),
    Bad("short_fmt.wav", "cannot be read as audio"),
    Bad("no_channels.wav", "cannot be read as audio"),
    Bad("many_channels.wav", "channels"),
    Bad("no_bits.wav", "cannot be read as audio"),
    Bad("unknown_codec.wav", "cannot be read as audio"),
    Bad("no_frames.wav", "no sound"),
    Bad("absurd_rate.wav", "sample rate"),
    Bad("slow_rate.wav", "sample rate"),
    Bad("nan.wav", "not numbers"),
    Bad("infinite.wav", "not numbers"),
    Bad("huge_values.wav", "full scale"),
    Bad("long.wav", "not a one-shot"),
    Bad("hour.wav", "not a one-shot"),
    Bad("flipped.flac", "damaged"),
    Bad("folder.wav", "folder"),
    Bad("pipe.wav", "pipe"),
    Bad("loop.wav", "link"),
    Bad("dangling.wav", "no such file"),
    Bad("missing.wav", "no such file"),
    # These are read, and refused as one-shots.
    Bad("one_sample.wav", "too short"),
    Bad("silent.wav", "silent"),
    Bad("constant.wav", "constant"),
)
READABLE_BUT_NO_SOUND = ("one_sample.wav", "silent.wav", "constant.wav")


def make_good(folder: Path) -> list[Path]:
    """One file per format, rate and channel count of GOOD."""
    return [
        write(folder / name, drum(rate_hz=rate_hz, channels=channels), rate_hz=rate_hz, subtype=subtype)
        for name, subtype, rate_hz, channels in GOOD
    ]


def make_bad(folder: Path, name: str) -> Path:
    """Make the file of BAD called `name`."""
    path = folder / name
    sound = drum()
    data = (b"data", pcm_16(sound))
    contents = {
        "empty.wav": b"",
        "one_byte.wav": b"R",
        "text.wav": b"<html>404 not found</html>" * 20,
        "zeros.wav": bytes(5_000),
        "no_fmt.wav": riff(data),
        "no_data.wav": riff(format_chunk()),
        "short_fmt.wav": riff((b"fmt ", b"\1\0\1\0"), data),
        "no_channels.wav": riff(format_chunk(channels=0), data),
        "many_channels.wav": riff(format_chunk(channels=12), data),
        "no_bits.wav": riff(format_chunk(bits=0), data),
        "unknown_codec.wav": riff(format_chunk(tag=0x7777), data),
        "no_frames.wav": riff(format_chunk(), (b"data", b"")),
        "absurd_rate.wav": riff(format_chunk(rate_hz=2_147_483_647), data),
        "slow_rate.wav": riff(format_chunk(rate_hz=1_000), data),
    }
    if name in contents:
        path.write_bytes(contents[name])
    elif name in ("nan.wav", "infinite.wav", "huge_values.wav"):
        sound[0, 100] = {"nan.wav": np.nan, "infinite.wav": np.inf, "huge_values.wav": 1e30}[name]
        write(path, sound, subtype="FLOAT")
    elif name == "long.wav":
        write(path, np.tile(drum(0.5, rate_hz=8_000), 80), rate_hz=8_000)
    elif name == "hour.wav":
        # A sparse file: an hour of stereo costs no disk, and must cost the reader no memory.
        size = 3_600 * RATE * 4
        with path.open("wb") as file:
            file.write(riff(format_chunk(channels=2), size=36 + size) + b"data" + struct.pack("<I", size))
            file.truncate(44 + size)
    elif name == "flipped.flac":
        write(path, drum(2.0, seed=1), subtype="PCM_16")
        contents_of = bytearray(path.read_bytes())
        contents_of[len(contents_of) // 4 :] = b"\x55" * (len(contents_of) - len(contents_of) // 4)
        path.write_bytes(contents_of)
    elif name == "folder.wav":
        path.mkdir()
    elif name == "pipe.wav":
        os.mkfifo(path)
    elif name == "loop.wav":
        path.symlink_to(path)
    elif name == "dangling.wav":
        path.symlink_to(folder / "nowhere.wav")
    elif name == "one_sample.wav":
        write(path, np.array([[0.5]]))
    elif name == "silent.wav":
        write(path, np.zeros((2, 4_410)))
    elif name == "constant.wav":
        write(path, np.full((2, 4_410), 0.25))
    else:
        assert name == "missing.wav", name
    return path
