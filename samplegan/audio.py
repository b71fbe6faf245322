"""Audio files in and out: find, read, resample, align to the onset, fix the length; WAV and FLAC bytes.

Audio inside the program is `float32 [channel=2, sample]` at 44,100 Hz. Readers never trust a header: a named
pipe must not hang, a damaged file must not crash, and an hour of sound must not be loaded as a one-shot.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import struct
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsp.pitch import onset_sample
from samplegan.errors import InputError, UnreadableAudio

F32 = NDArray[np.float32]

SAMPLE_RATE = 44_100
ONSET_SAMPLE = 44  # where the onset stands in every aligned sound (1 ms)
LONGEST_ONE_SHOT_SECONDS = 30.0
SHORTEST_ONE_SHOT_SECONDS = 0.002
RATE_RANGE_HZ = (4_000, 768_000)
MOST_CHANNELS = 8
SILENCE_DBFS = -80.0
LOUDEST_SAMPLE = 1_000.0  # +60 dBFS: a float file beyond that holds integers or rubbish
CUT_FADE_SECONDS = 0.010
END_FADE_SECONDS = 0.005
EXTENSIONS = frozenset({".wav", ".flac", ".aif", ".aiff", ".ogg", ".oga", ".mp3", ".opus"})

_BLOCK_FRAMES = 1 << 16
_DENORMAL = 1e-30
_FORMAT_OF_EXTENSION = {
    ".wav": {"WAV", "WAVEX", "RF64", "W64"},
    ".flac": {"FLAC"},
    ".aif": {"AIFF"},
    ".aiff": {"AIFF"},
    ".ogg": {"OGG"},
    ".oga": {"OGG"},
    ".opus": {"OGG"},
    ".mp3": {"MP3", "MPEG"},
}
_HALF_POWER = float(np.sqrt(0.5))
# (left, right) weights per channel of the file, in the usual WAVE order (front left, front right, centre,
# low-frequency effects, back left, back right, side left, side right), after ITU-R BS.775: centre and
# surrounds at -3 dB, LFE left out.
_FOLD_DOWN = {
    3: ((1, 0), (0, 1), (_HALF_POWER, _HALF_POWER)),
    4: ((1, 0), (0, 1), (_HALF_POWER, 0), (0, _HALF_POWER)),
    5: ((1, 0), (0, 1), (_HALF_POWER, _HALF_POWER), (_HALF_POWER, 0), (0, _HALF_POWER)),
    6: ((1, 0), (0, 1), (_HALF_POWER, _HALF_POWER), (0, 0), (_HALF_POWER, 0), (0, _HALF_POWER)),
    7: (
        (1, 0),
        (0, 1),
        (_HALF_POWER, _HALF_POWER),
        (0, 0),
        (0.5, 0.5),
        (_HALF_POWER, 0),
        (0, _HALF_POWER),
    ),
    8: (
        (1, 0),
        (0, 1),
        (_HALF_POWER, _HALF_POWER),
        (0, 0),
        (_HALF_POWER, 0),
        (0, _HALF_POWER),
        (_HALF_POWER, 0),
        (0, _HALF_POWER),
    ),
}


@dataclass(frozen=True)
class AudioInfo:
    """What the header of an audio file says. `frames` is None where the header does not tell."""

    path: Path
    format: str  # as recognised from the content, not from the name: WAV, FLAC, AIFF …
    subtype: str  # PCM_16, PCM_24, FLOAT …
    rate_hz: int
    channels: int
    frames: int | None
    size_bytes: int
    warnings: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float | None:
        return None if self.frames is None else self.frames / self.rate_hz


@dataclass(frozen=True)
class SourceAudio:
    """The samples of a file at its own rate: `samples[channel, sample]`, finite float32."""

    samples: F32
    info: AudioInfo
    warnings: tuple[str, ...] = field(default=())


# --- finding and reading


def find_audio_files(folder: Path) -> list[Path]:
    """Every audio file under `folder`, by its extension, sorted by the bytes of the path.

    Links to folders are not followed, so no cycle can trap the walk; `._*` and `__MACOSX` (what macOS leaves
    on foreign disks and in archives) and subfolders that may not be read are left out. Raises InputError if
    `folder` itself cannot be read.
    """
    try:
        with os.scandir(folder):
            pass
    except OSError as error:
        raise InputError(_why_not(error, "folder"), file=folder) from error
    found = [
        Path(parent, name)
        for parent, subfolders, names in _walk(folder)
        for name in names
        if not name.startswith("._") and Path(name).suffix.lower() in EXTENSIONS
    ]
    return sorted(found, key=os.fsencode)


def probe(path: Path) -> AudioInfo:
    """Read the header only. Never hangs on a named pipe or a device. Raises UnreadableAudio."""
    with _opened(path) as (_, info):
        return info


def read_audio(path: Path, *, longest_seconds: float = LONGEST_ONE_SHOT_SECONDS) -> SourceAudio:
    """Read a file whole, at its own rate and channel count; every sample is finite.

    Raises UnreadableAudio for whatever is no usable one-shot: not a file, no audio, damaged, empty, longer
    than `longest_seconds` (of which no more than that is ever decoded), a rate outside 4–768 kHz, more than
    eight channels, values that are not numbers or far beyond full scale. Silence is read; `load_one_shot`
    rejects it.
    """
    with _opened(path) as (file, info):
        most_frames = int(longest_seconds * info.rate_hz)
        if info.frames is not None and info.frames > most_frames:
            raise _too_long(path, longest_seconds, info.frames / info.rate_hz)
        samples = _decode(file, path, most_frames + 1)
    if samples.shape[1] == 0:
        raise UnreadableAudio("the file holds no sound: it has a header but no samples", file=path)
    if samples.shape[1] > most_frames:
        raise _too_long(path, longest_seconds, None)
    warnings = list(info.warnings)
    if info.frames is not None and samples.shape[1] < 0.98 * info.frames:
        warnings.append(f"cut short: only {samples.shape[1]} of {info.frames} frames could be read")
    if not np.isfinite(samples).all():
        raise UnreadableAudio(
            "the file holds values that are not numbers (NaN or infinity)",
            file=path,
            hint="export it again from the program that made it",
        )
    peak = float(np.abs(samples).max())
    if peak > LOUDEST_SAMPLE:
        raise UnreadableAudio(
            f"the samples reach {peak:.3g} times full scale, which is not audio",
            file=path,
            hint="export it again as 24-bit or as float within ±1",
        )
    samples[np.abs(samples) < _DENORMAL] = 0.0  # denormal numbers make every later filter slow
    return SourceAudio(samples, info, tuple(warnings))


def to_stereo_44k(source: SourceAudio) -> F32:
    """Two channels at 44,100 Hz: mono duplicated, three to eight channels folded down after ITU-R BS.775."""
    samples = source.samples
    channels = samples.shape[0]
    pair = samples
    if channels > 2:
        pair = np.asarray(_FOLD_DOWN[channels], dtype=np.float32).T @ samples
    if source.info.rate_hz != SAMPLE_RATE:
        import soxr

        pair = soxr.resample(pair.T, source.info.rate_hz, SAMPLE_RATE, quality="HQ").T
    stereo = np.repeat(pair, 2, axis=0) if pair.shape[0] == 1 else pair
    return np.ascontiguousarray(stereo, dtype=np.float32)


def load_one_shot(path: Path, length_seconds: float) -> F32:
    """Read, convert, free of a constant offset, align and fix the length: `[2, round(length · 44,100)]`.

    Raises UnreadableAudio as `read_audio` does, and for sounds shorter than 2 ms, silence, and a constant
    alone.
    """
    source = read_audio(path)
    return align(one_shot_from(source), round(length_seconds * SAMPLE_RATE))


def one_shot_from(source: SourceAudio) -> F32:
    """The whole sound, stereo at 44,100 Hz, not aligned. Raises UnreadableAudio if there is none."""
    path = source.info.path
    frames = source.samples.shape[1]
    if frames < SHORTEST_ONE_SHOT_SECONDS * source.info.rate_hz:
        raise UnreadableAudio(
            f"too short to be a sound: {frames} sample{'s' if frames != 1 else ''}",
            file=path,
            hint=f"a one-shot lasts at least {SHORTEST_ONE_SHOT_SECONDS * 1000:.0f} ms",
        )
    quietest = 10.0 ** (SILENCE_DBFS / 20.0)
    if float(np.abs(source.samples).max()) < quietest:
        raise UnreadableAudio("the file is silent", file=path)
    if float(np.ptp(source.samples, axis=1).max()) < 2.0 * quietest:
        raise UnreadableAudio("the file holds a constant (DC) and no sound", file=path)
    return _without_constant(to_stereo_44k(source))


def align(audio: F32, length_samples: int) -> F32:
    """Move the onset of `audio[channel, sample]` to ONSET_SAMPLE and make it `length_samples` long; never
    stretch.

    The onset is the first sample within 40 dB of the peak in either channel. What comes before it is cut but
    for the last 44 samples, which fade in from zero. A sound that is too long fades out over its last 10 ms;
    a shorter one is zero-padded after a fade of 5 ms (a tenth of the sound at most). Either way the last
    sample is zero.
    """
    aligned = np.zeros((audio.shape[0], length_samples), dtype=np.float32)
    if audio.shape[1] == 0 or length_samples == 0:
        return aligned
    onset = onset_sample(np.abs(audio).max(axis=0))
    lead = min(onset, ONSET_SAMPLE)
    kept = audio[:, onset - lead :][:, : length_samples - (ONSET_SAMPLE - lead)]
    start = ONSET_SAMPLE - lead
    stop = start + kept.shape[1]
    was_cut = onset + length_samples - ONSET_SAMPLE < audio.shape[1]
    fade_samples = round((CUT_FADE_SECONDS if was_cut else END_FADE_SECONDS) * SAMPLE_RATE)
    fade_samples = min(fade_samples, max((kept.shape[1] - lead) // 10, 1))
    aligned[:, start:stop] = kept
    aligned[:, stop - fade_samples : stop] *= _fade_in(fade_samples)[::-1]
    aligned[:, start : start + lead] *= _fade_in(lead)
    return aligned


def in_phase(audio: F32) -> F32:
    """A sound [2, sample] with its right channel turned over if the channels oppose each other: its middle is then
    louder than its side, as it was softer before, and is what mono keeps."""
    left, right = audio
    return np.stack([left, -right]) if float(np.vdot(left, right)) < 0.0 else audio


def _fade_in(samples: int) -> F32:
    """A raised cosine that starts at exactly zero and would reach one on the sample after its last."""
    return (0.5 - 0.5 * np.cos(np.pi * np.arange(samples) / max(samples, 1))).astype(np.float32)


def _without_constant(audio: F32) -> F32:
    """Take away a constant offset, told from the low frequencies of a drum by a tail that stands still away
    from zero.
    """
    tail = audio[:, -max(round(0.020 * SAMPLE_RATE), 1) :]
    offset = tail.mean(axis=1, dtype=np.float64)
    still = tail.std(axis=1, dtype=np.float64) < 0.1 * np.abs(offset)
    offset = np.where(still & (np.abs(offset) > 10.0 ** (-75.0 / 20.0)), offset, 0.0)
    return (audio - offset[:, None]).astype(np.float32)


class _opened:
    """Open an audio file for reading after every check that needs no decoding; a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.file: Any = None

    def __enter__(self) -> tuple[Any, AudioInfo]:
        import soundfile

        path = self.path
        size_bytes = _size_of_regular_file(path)
        # Bytes reach names that are not valid UTF-8; on Windows libsndfile takes the wide-character name.
        name = str(path) if sys.platform == "win32" else os.fsencode(path)
        try:
            self.file = soundfile.SoundFile(name)
        except (soundfile.SoundFileError, RuntimeError, OSError, TypeError, ValueError) as error:
            raise UnreadableAudio(
                f"cannot be read as audio ({_reason(error)})",
                file=path,
                hint="readable formats: WAV, FLAC, AIFF, OGG, Opus, MP3",
            ) from error
        try:
            return self.file, _checked_info(self.file, path, size_bytes)
        except BaseException:
            self.file.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.file.close()


def _checked_info(file: Any, path: Path, size_bytes: int) -> AudioInfo:
    if not RATE_RANGE_HZ[0] <= file.samplerate <= RATE_RANGE_HZ[1]:
        raise UnreadableAudio(
            f"a sample rate of {file.samplerate} Hz is outside {RATE_RANGE_HZ[0]}…{RATE_RANGE_HZ[1]} Hz",
            file=path,
        )
    if not 1 <= file.channels <= MOST_CHANNELS:
        raise UnreadableAudio(
            f"{file.channels} channels; at most {MOST_CHANNELS} can be folded down to stereo",
            file=path,
            hint="export the channels as separate stereo files",
        )
    # A stream of unknown length is announced as the largest number there is.
    frames = file.frames if 0 <= file.frames < 1 << 60 else None
    if frames == 0:
        raise UnreadableAudio("the file holds no sound: it has a header but no samples", file=path)
    warnings = []
    suffix = path.suffix.lower()
    if suffix in _FORMAT_OF_EXTENSION and file.format not in _FORMAT_OF_EXTENSION[suffix]:
        warnings.append(f"named {suffix} but holds {file.format}")
    if file.channels > 2:
        warnings.append(f"{file.channels} channels folded down to stereo")
    missing_bytes = _missing_bytes(path, size_bytes)
    if missing_bytes > 0:
        warnings.append(f"cut short: {missing_bytes} bytes of sound are missing at the end")
    return AudioInfo(
        path, file.format, file.subtype, file.samplerate, file.channels, frames, size_bytes, tuple(warnings)
    )


def _decode(file: Any, path: Path, most_frames: int) -> F32:
    """Read block by block, so that neither memory nor time depends on what the header claims: `[channel,
    sample]`.
    """
    import soundfile

    blocks: list[F32] = []
    frames = 0
    while frames < most_frames:
        try:
            block = file.read(min(_BLOCK_FRAMES, most_frames - frames), dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, RuntimeError, OSError, ValueError) as error:
            raise UnreadableAudio(
                f"the file is damaged: decoding stopped after {frames} frames ({_reason(error)})", file=path
            ) from error
        if block.shape[0] == 0:
            break
        blocks.append(block)
        frames += block.shape[0]
    if not blocks:
        return np.zeros((file.channels, 0), dtype=np.float32)
    return np.ascontiguousarray(np.concatenate(blocks).T)


def _size_of_regular_file(path: Path) -> int:
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and status.st_size > 0:
            with path.open("rb"):  # libsndfile says "System error." for every refusal; the system says which
                return status.st_size
    except OSError as error:
        raise UnreadableAudio(_why_not(error, "file"), file=path) from error
    except ValueError as error:  # an embedded null character
        raise UnreadableAudio("not a possible file name", file=repr(str(path))) from error
    if stat.S_ISDIR(status.st_mode):
        raise UnreadableAudio("is a folder, not an audio file", file=path)
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableAudio("is a pipe, socket or device, not an audio file", file=path)
    raise UnreadableAudio("the file is empty (0 bytes)", file=path)


def _why_not(error: OSError, kind: str) -> str:
    reasons = {
        errno.ENOENT: f"no such {kind}",
        errno.EACCES: f"permission denied: the {kind} may not be read",
        errno.EPERM: f"permission denied: the {kind} may not be read",
        errno.ELOOP: "a symbolic link that leads back to itself",
        errno.ENOTDIR: f"not a {kind}",
        errno.ENAMETOOLONG: "the name is too long",
    }
    return reasons.get(error.errno or 0, f"cannot be read: {error.strerror or error}")


def _reason(error: BaseException) -> str:
    """The library's own words, without its prefix that repeats the path."""
    text = getattr(error, "error_string", None) or str(error) or type(error).__name__
    return str(text).strip().rstrip(".")


def _too_long(path: Path, longest_seconds: float, seconds: float | None) -> UnreadableAudio:
    length = f"{seconds:.0f} s" if seconds is not None else f"more than {longest_seconds:.0f} s"
    return UnreadableAudio(
        f"not a one-shot: it lasts {length}, and {longest_seconds:.0f} s is the longest that is read",
        file=path,
        hint="cut single hits out of it, one per file",
    )


def _walk(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    for parent, subfolders, names in os.walk(folder, followlinks=False):
        subfolders[:] = [name for name in subfolders if name != "__MACOSX" and not name.startswith("._")]
        yield parent, subfolders, names


def _missing_bytes(path: Path, size_bytes: int) -> int:
    """How many bytes of sound a WAV or AIFF header promises beyond the end of the file; libsndfile does not
    tell.
    """
    try:
        with path.open("rb") as file:
            head = file.read(12)
            if len(head) < 12:
                return 0
            form = head[:4] + head[8:]
            if form in (b"RIFFWAVE", b"RIFXWAVE"):
                size_format = "<I" if head[:4] == b"RIFF" else ">I"
                wanted = b"data"
            elif form in (b"FORMAIFF", b"FORMAIFC"):
                size_format, wanted = ">I", b"SSND"
            else:
                return 0
            position = 12
            for _ in range(10_000):  # a hostile file may hold chunks of size 0 without end
                file.seek(position)
                chunk = file.read(8)
                if len(chunk) < 8:
                    return 0
                (chunk_bytes,) = struct.unpack(size_format, chunk[4:])
                if chunk[:4] == wanted:
                    streamed = chunk_bytes >= 0xFFFF_FF00  # the writer could not go back to fill the size in
                    return 0 if streamed else max(position + 8 + chunk_bytes - size_bytes, 0)
                position += 8 + chunk_bytes + chunk_bytes % 2
    except OSError:
        return 0
    return 0


# --- writing

_INFO_CHUNKS = {
    "title": "INAM",
    "artist": "IART",
    "comment": "ICMT",
    "copyright": "ICOP",
    "date": "ICRD",
    "genre": "IGNR",
    "software": "ISFT",
    "album": "IPRD",
    "tracknumber": "ITRK",
    "keywords": "IKEY",
}
_FULL_SCALE_24 = 1 << 23


def quantise_24(audio: F32) -> NDArray[np.int32]:
    """The 24-bit integers of `audio`, same shape: rounded to nearest, saturated. Raises ValueError on NaN or
    infinity.

    >>> quantise_24(np.array([[0.0, -1.0, 1.0, 2.0**-23]], dtype=np.float32)).tolist()
    [[0, -8388608, 8388607, 1]]
    """
    if not np.isfinite(audio).all():
        raise ValueError(
            "audio to be written holds values that are not numbers"
        )  # as 24-bit: a full-scale click
    scaled = np.rint(audio.astype(np.float64) * _FULL_SCALE_24)
    return np.clip(scaled, -_FULL_SCALE_24, _FULL_SCALE_24 - 1).astype(np.int32)


def wav_bytes(audio: F32, info: dict[str, str] | None = None) -> bytes:
    """A 24-bit 44,100 Hz WAV file of `audio[channel, sample]`; equal input gives equal bytes.

    `info` goes to LIST/INFO as ASCII (readers disagree about anything else). Its keys are title, artist,
    comment, copyright, date, genre, software, album, tracknumber and keywords, or four-letter identifiers
    such as INAM. Written by hand, since libsndfile drops some fields and stamps others. Raises ValueError on
    NaN or infinity, or an unknown key.
    """
    integers = quantise_24(audio)
    channels, _ = integers.shape
    packed = np.ascontiguousarray(integers.T).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    frame_bytes = 3 * channels
    layout = struct.pack("<HHIIHH", 1, channels, SAMPLE_RATE, SAMPLE_RATE * frame_bytes, frame_bytes, 24)
    texts = b"".join(
        _chunk(_info_identifier(key), ascii_text(value).encode("ascii") + b"\0")
        for key, value in (info or {}).items()
        if value
    )
    listing = _chunk("LIST", b"INFO" + texts) if texts else b""
    return _chunk("RIFF", b"WAVE" + _chunk("fmt ", layout) + listing + _chunk("data", packed))


def flac_bytes(audio: F32, info: dict[str, str] | None = None) -> bytes:
    """A 24-bit 44,100 Hz FLAC file with the same samples and keys as `wav_bytes`; equal input gives equal
    bytes.

    What FLAC's writer has no field for (keywords) is left out, and so is `software`, which it would stamp
    with its own version.
    """
    import soundfile

    integers = quantise_24(audio)
    buffer = io.BytesIO()
    names = {identifier: name for name, identifier in _INFO_CHUNKS.items()}
    with soundfile.SoundFile(
        buffer, "w", SAMPLE_RATE, channels=integers.shape[0], format="FLAC", subtype="PCM_24"
    ) as file:
        for key, value in (info or {}).items():
            name = names.get(_info_identifier(key))
            if value and name not in (None, "software", "keywords"):
                setattr(file, str(name), ascii_text(value))
        file.write(np.ascontiguousarray(integers.T) << 8)  # libsndfile takes the upper 24 of 32 bits
    return buffer.getvalue()


def ascii_text(text: str) -> str:
    """The nearest printable ASCII text.

    >>> ascii_text("Café – “808”")
    'Cafe - "808"'
    """
    text = text.translate(
        {0x2013: "-", 0x2014: "-", 0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0xDF: "ss"}
    )
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return "".join(letter if " " <= letter <= "~" else "?" for letter in plain)


def _info_identifier(key: str) -> str:
    identifier = _INFO_CHUNKS.get(key, key)
    if not (len(identifier) == 4 and identifier.isascii() and identifier.isalnum() and identifier.isupper()):
        raise ValueError(f"'{key}' is not an INFO field; known: {', '.join(_INFO_CHUNKS)}")
    return identifier


def _chunk(identifier: str, body: bytes) -> bytes:
    """A RIFF chunk; an odd body is followed by a byte that its size does not count."""
    return identifier.encode("ascii") + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
